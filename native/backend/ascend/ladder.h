// Which of our kernels a device uses. At opening it climbs down a ladder until a rung holds: the
// fused projection, the other kernels with CANN's operations, CANN's operations alone; and the
// kernels launched from the device binary, or through the plugin's generated functions.
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
  /// deadline, and compares. Throws nothing that a rung can be left for.
  void climb(const AclFunctions& acl, DeviceThread& thread, const KernelSources& sources,
             const Chip& chip);
  /// Loads again what was lost with a context, into the one that is current.
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
