// Devices by name. They live as long as the process.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "backend/backend.h"

namespace latte {

/// The device called 'cpu' or 'npu:0' …. Throws ERR_DEVICE_UNAVAILABLE, with the reason, for one
/// that is not there. Nothing of CANN is touched before something asks for an NPU. An NPU opens on
/// its own thread at its first use, which fails with the same code if it cannot be opened.
Device& open_device(std::string_view name);

/// Throws ERR_VALUE if an environment variable asks for what cannot be had, and names it.
void check_settings();

/// The devices of this process, the CPU first.
std::vector<DeviceInfo> list_devices();

/// Why NPUs are, or are not, available. Empty strings where there is nothing to say.
struct NpuDiagnostics {
  bool available = false;
  std::string reason;          // in words that say what to do about it
  std::string library_path;    // of the CANN library that was tried
  std::string loader_message;  // what the loader said of it
  std::string soc;             // 'Ascend910B3' …
  std::string chip_note;       // what to expect of a chip that was not tried; else empty
  std::string acl_version;     // of ACL's interface, not of the toolkit: '1.14.0'
  bool kernels_plugin = false;
  std::string kernels_plugin_path;
  std::string kernels_rung;    // of the last device that was opened: which kernels it uses
  std::string kernels_reason;  // why the kernels plugin is not used
  uint32_t device_count = 0;
};
NpuDiagnostics npu_diagnostics();

/// A JavaScript environment (the main thread's, or a worker's) begins to use devices, or has ended:
/// its works are done then. When the last one on the main thread has ended, runtimes that were
/// started for it may be finalised.
void environment_opened();
void environment_closed(bool main_thread);

/// A tensor in the host's memory, which is the CPU's.
Tensor allocate_on_host(const TensorSpec& spec);

}  // namespace latte
