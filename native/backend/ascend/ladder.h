// The choice of our kernels for a device. When the device opens, it tries the plain kernels: first
// launched from the device binary, then, if these fail, through the plugin's generated functions.
// If one of the two ways works, it also tries the fused projection, launched that way. If neither
// works, layers use only CANN's operations.
#pragma once

#include <memory>
#include <string>

#include "backend/ascend/acl/device_thread.h"
#include "backend/ascend/chip.h"
#include "backend/ascend/kernel_binary.h"
#include "backend/ascend/kernel_plugin.h"
#include "backend/ascend/kernels/tiling.h"

namespace latte::ascend {

/// The files with our kernels that the process has found.
struct KernelSources {
  const KernelPlugin* plugin = nullptr;  // null: none
  std::string binary;                    // the path of the device binary, or empty
};

/// The kernels that one device uses, and whether it captures. A rung is one choice of kernels and
/// of the way to launch them; the best that works is used.
class KernelLadder {
 public:
  /// Throws ERR_VALUE if a variable that switches a rung has an invalid value.
  static void check_settings();
  /// Chooses, on the device's thread. Each rung computes small cases in a context of its own within
  /// a deadline, and compares the results. If a rung fails, tries the next one instead of throwing.
  void climb(const AclFunctions& acl, DeviceThread& thread, const KernelSources& sources,
             const Chip& chip);
  /// Reloads the device binary into the current context, after its old context was destroyed.
  void renew(const AclFunctions& acl, const KernelSources& sources);
  /// Gives back what belongs to the current context. To be called before that context ends.
  void close() {
    kernels_ = nullptr;
    binary_.reset();
  }

  /// Null: only CANN's operations are used.
  const Kernels* kernels() const { return kernels_; }
  /// Whether the fused projection is used.
  bool fused() const { return fused_; }
  /// Why better rungs are not used; empty if the best one is.
  const std::string& reason() const { return reason_; }
  /// 'fused' or 'kernels' with the way of launching, or 'operations'.
  std::string rung() const;

  /// Whether launches may be captured and replayed.
  bool captures() const { return capture_reason_.empty(); }
  const std::string& capture_reason() const { return capture_reason_; }

 private:
  void climb_kernels(const AclFunctions& acl, DeviceThread& thread, const KernelSources& sources);
  std::string reason_not_to_capture(const AclFunctions& acl, DeviceThread& thread,
                                    const KernelSources& sources, const Chip& chip) const;
  void leave(const std::string& rung, const std::string& why);

  std::unique_ptr<const KernelBinary> binary_;
  const Kernels* kernels_ = nullptr;
  bool fused_ = false;
  std::string reason_;
  std::string capture_reason_ = "no trial of it was made";
};

}  // namespace latte::ascend
