// CANN in this process: loads and initialises it once, finalises it once, and has its devices by
// index.
#pragma once

#include <memory>
#include <vector>

#include "backend/backend.h"
#include "backend/npu_diagnostics.h"

namespace latte::ascend {

// Every function here may be called on any thread. The first call of open_device(), list_devices()
// or diagnostics() loads CANN.

/// Throws ERR_VALUE if a LATTE_ASCEND variable has an invalid value. Does not load CANN.
void check_settings();

/// The NPU of this index. It uses `host`, the device of the host's memory, for what it does not
/// compute itself. Throws ERR_DEVICE_UNAVAILABLE, with the reason, if there is none. The device
/// opens on its own thread at its first work, copy or allocation; if the opening fails, these fail
/// with the same code.
Device& open_device(int index, Device& host);

/// The NPUs of this process, with their memory if they are open. Opens no device and waits for
/// none.
std::vector<DeviceInfo> list_devices();

/// What the process knows about its NPUs.
NpuDiagnostics diagnostics();

/// Closes every device, and finalises ACL if this process initialised it. To be called only when no
/// JavaScript environment of the process is left: ACL cannot be used afterwards.
void shut_down();

}  // namespace latte::ascend
