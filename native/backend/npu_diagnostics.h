// What was found of NPUs and of their libraries.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace latte {

/// Why NPUs are, or are not, available. A string is empty if it does not apply.
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
  std::string kernels_rung;      // of the last device that was opened: which kernels it uses
  std::string kernels_reason;    // why the kernels plugin is not used
  std::optional<bool> captures;  // whether that device captures and replays forwards
  std::string capture_reason;    // why not, or not all; else empty
  uint32_t device_count = 0;
};

}  // namespace latte
