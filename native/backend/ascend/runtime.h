// CANN in this process: found, initialised once, ended once; and its devices by index.
#pragma once

#include <memory>
#include <vector>

#include "backend/backend.h"
#include "backend/npu_diagnostics.h"

namespace latte::ascend {

/// Everything here may be called on any thread. Nothing of CANN is touched before the first call.

/// Throws ERR_VALUE if a LATTE_ASCEND variable cannot be honoured. Touches nothing of CANN.
void check_settings();

/// The NPU of this index. It converts on `host`, the device of the host's memory, what it does not
/// convert itself. Throws ERR_DEVICE_UNAVAILABLE with the reason. The device itself opens on its
/// own thread, at its first work, copy or allocation, which fails with the same code if it cannot.
Device& open_device(int index, Device& host);

/// The NPUs there are, with their memory if they are open; empty if there is none. Opens none
/// of them, and waits for none.
std::vector<DeviceInfo> list_devices();

NpuDiagnostics diagnostics();

/// Ends every device, and ACL if this process started it. Only when no JavaScript
/// environment of the process is left: nothing of ACL works afterwards.
void shut_down();

}  // namespace latte::ascend
