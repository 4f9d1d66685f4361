// The devices of the process, by name. They live as long as the process.
#pragma once

#include <string_view>
#include <vector>

#include "backend/backend.h"
#include "backend/npu_diagnostics.h"

namespace latte {

/// The device called 'cpu' or 'npu:0' …. Throws ERR_DEVICE_UNAVAILABLE, with the reason, if there
/// is no such device. CANN is loaded by the first call that concerns NPUs: this one with an NPU's
/// name, list_devices() or npu_diagnostics(). An NPU opens on its own thread at its first use; if
/// the opening fails, that use fails with the same code.
Device& open_device(std::string_view name);

/// Throws ERR_VALUE, with the variable's name, if an environment variable has an invalid value.
void check_settings();

/// The devices of this process, the CPU first.
std::vector<DeviceInfo> list_devices();

/// Why NPUs are, or are not, available.
NpuDiagnostics npu_diagnostics();

/// To be called when a JavaScript environment (the main thread's or a worker's) begins to use
/// devices, and when it has ended and its works are done. If the last environment to end is the
/// main thread's, the NPUs' runtime is shut down.
void environment_opened();
void environment_closed(bool main_thread);

/// A tensor in new host memory, which is the CPU device's.
Tensor allocate_on_host(const TensorSpec& spec);

}  // namespace latte
