// Devices by name. They live as long as the process.
#pragma once

#include <string_view>
#include <vector>

#include "backend/backend.h"
#include "backend/npu_diagnostics.h"

namespace latte {

/// The device called 'cpu' or 'npu:0' …. Throws ERR_DEVICE_UNAVAILABLE, with the reason, for one
/// that is not there. Nothing of CANN is touched before something asks for an NPU. An NPU opens on
/// its own thread at its first use, which fails with the same code if it cannot be opened.
Device& open_device(std::string_view name);

/// Throws ERR_VALUE if an environment variable asks for what cannot be had, and names it.
void check_settings();

/// The devices of this process, the CPU first.
std::vector<DeviceInfo> list_devices();

/// Why NPUs are, or are not, available.
NpuDiagnostics npu_diagnostics();

/// A JavaScript environment (the main thread's, or a worker's) begins to use devices, or has ended:
/// its works are done then. When the last one on the main thread has ended, runtimes that were
/// started for it may be finalised.
void environment_opened();
void environment_closed(bool main_thread);

/// A tensor in the host's memory, which is the CPU's.
Tensor allocate_on_host(const TensorSpec& spec);

}  // namespace latte
