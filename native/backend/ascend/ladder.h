// Which of our kernels a device uses. At opening it tries the plain kernels: launched from the
// device binary, and if these fail, through the plugin's generated functions. If one of the two
// ways works, it tries the fused projection, too, launched that way. If neither works, layers use
// CANN's operations alone.
#pragma once

#include <memory>
#include <string>

#include "backend/ascend/acl/device_thread.h"
#include "backend/ascend/chip.h"
#include "backend/ascend/kernel_binary.h"
#include "backend/ascend/kernel_plugin.h"
#include "backend/ascend/kernels/tiling.h"

namespace latte::ascend {

/// What the process found before a device is opened.
struct KernelSources {
  const KernelPlugin* plugin = nullptr;
  std::string binary;  // a path, or empty
};

class KernelLadder {
 public:
  /// Throws ERR_VALUE if a variable that switches a rung cannot be honoured.
  static void check_settings();
  /// On the device's thread. Each rung computes small cases on a context of its own within a
  /// deadline, and compares. If a rung fails, tries the next one instead of throwing.
  void climb(const AclFunctions& acl, DeviceThread& thread, const KernelSources& sources,
             const Chip& chip);
  /// Reloads the binary into the current context after its old context was destroyed.
  void renew(const AclFunctions& acl, const KernelSources& sources);
  /// Gives back what belongs to the current context, before that ends.
  void close() {
    kernels_ = nullptr;
    binary_.reset();
  }

  /// Null: CANN's operations alone.
  const Kernels* kernels() const { return kernels_; }
  bool fused() const { return fused_; }
  /// Why rungs were left; empty if none was.
  const std::string& reason() const { return reason_; }
  /// 'fused', 'kernels' or 'operations', and the way of launching.
  std::string rung() const;

  /// Whether launches may be captured and replayed, and if not, why.
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
