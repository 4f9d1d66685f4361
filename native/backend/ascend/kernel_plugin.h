// The plugin with the Ascend C kernels: built on hosts with CANN, found at run time, optional.
#pragma once

#include <memory>
#include <string>

#include "backend/ascend/kernels/kernel_plugin_abi.h"

namespace latte::ascend {

class KernelPlugin {
 public:
  /// From LATTE_ASCEND_KERNELS ('off': none), or from beside the addon. Null with a reason where
  /// there is none, or one of another version. To be called after aclInit: what CANN's build puts
  /// into such a library registers its kernels as it is loaded. It is never unloaded.
  static std::unique_ptr<const KernelPlugin> load(std::string& path, std::string& reason);

  /// Throws ERR_VALUE if LATTE_ASCEND_KERNELS is the path of a file that is not there. Whether the
  /// file is a plugin shows when an NPU is opened.
  static void check_setting();

  explicit KernelPlugin(const latte_kernels& kernels) : kernels_(kernels) {}
  const latte_kernels& kernels() const { return kernels_; }

 private:
  const latte_kernels& kernels_;
};

}  // namespace latte::ascend
