// The plugin: an optional shared library with our Ascend C kernels, built on a host with CANN and
// found at run time. It launches the kernels through functions that CANN's build generates.
#pragma once

#include <memory>
#include <string>

#include "backend/ascend/kernels.h"

namespace latte::ascend {

/// The kernels of the plugin.
class KernelPlugin final : public Kernels {
 public:
  /// Loads the file that LATTE_ASCEND_KERNELS names ('off': none), else the one beside the addon or
  /// in the user's folder. Sets `path`. Returns null, and sets `reason`, if there is none or if it
  /// has another version. To be called after aclInit, because such a library registers its kernels
  /// while it is loaded. It is never unloaded.
  static std::unique_ptr<const KernelPlugin> load(std::string& path, std::string& reason);

  /// Throws ERR_VALUE if LATTE_ASCEND_KERNELS is the path of a file that does not exist. Does not
  /// check whether the file is a plugin: load() does.
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
