// The plugin with the Ascend C kernels: built on hosts with CANN, found at run time, optional. It
// launches its kernels through functions that CANN's build generates.
#pragma once

#include <memory>
#include <string>

#include "backend/ascend/kernels.h"

namespace latte::ascend {

class KernelPlugin final : public Kernels {
 public:
  /// From LATTE_ASCEND_KERNELS ('off': none), from beside the addon, or from the user's folder.
  /// Null with a reason if there is none, or one of another version. To be called after aclInit:
  /// what CANN's build puts into such a library registers its kernels as it is loaded. It is never
  /// unloaded.
  static std::unique_ptr<const KernelPlugin> load(std::string& path, std::string& reason);

  /// Throws ERR_VALUE if LATTE_ASCEND_KERNELS is the path of a file that is not there. Whether the
  /// file is a plugin shows when an NPU is opened.
  static void check_setting();

  explicit KernelPlugin(const latte_kernels& kernels) : kernels_(kernels) {}

  int timestep_projection(aclrtStream stream, const latte_timestep_tiling& tiling,
                          const void* timesteps, const void* frequencies,
                          void* output) const override {
    return kernels_.timestep_projection(stream, &tiling, timesteps, frequencies, output);
  }
  int patchify(aclrtStream stream, const latte_patchify_tiling& tiling, const void* latent,
               void* patches) const override {
    return kernels_.patchify(stream, &tiling, latent, patches);
  }
  int patch_projection(aclrtStream stream, const latte_fused_tiling& tiling, const void* latent,
                       const void* operand, void* output) const override {
    return kernels_.patch_projection_fused(stream, &tiling, latent, operand, output);
  }

 private:
  const latte_kernels& kernels_;
};

}  // namespace latte::ascend
