// What the process knows about NPUs and CANN's libraries.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace latte {

/// Why NPUs are, or are not, available. A string is empty if it does not apply.
struct NpuDiagnostics {
  bool available = false;
  std::string reason;           // why no NPU is available, and what to do about it
  std::string library_path;     // of the CANN library that was tried
  std::string loader_message;   // the dynamic loader's message about that library
  std::string soc;              // 'Ascend910B3' …
  std::string chip_note;        // what to expect of a chip that was not tried; else empty
  std::string acl_version;      // of ACL's interface, not of the toolkit: '1.14.0'
  bool kernels_plugin = false;  // whether the plugin with our kernels is used
  std::string kernels_plugin_path;
  std::string kernels_rung;      // which kernels the open device with the highest index uses
  std::string kernels_reason;    // why the plugin, or one of its kernels, is not used
  std::optional<bool> captures;  // whether that device captures and replays forwards
  std::string capture_reason;    // why it does not, or not always; else empty
  uint32_t device_count = 0;
};

}  // namespace latte
