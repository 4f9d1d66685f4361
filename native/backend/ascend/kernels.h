// Our Ascend C kernels as operations call them, for both ways of launching (KernelBinary,
// KernelPlugin).
#pragma once

#include "backend/ascend/acl/acl_api.h"
#include "backend/ascend/kernels/kernel_plugin_abi.h"

namespace latte::ascend {

/// Each function launches one kernel on the stream and returns 0, or ACL's code of the failure.
/// Pointers are device memory. The tiling is read before the function returns.
class Kernels {
 public:
  Kernels() = default;
  Kernels(const Kernels&) = delete;
  virtual ~Kernels() = default;

  virtual int timestep_projection(aclrtStream stream, const latte_timestep_tiling& tiling,
                                  const void* timesteps, const void* frequencies,
                                  void* output) const = 0;
  virtual int patchify(aclrtStream stream, const latte_patchify_tiling& tiling, const void* latent,
                       void* patches) const = 0;
  virtual int patch_projection(aclrtStream stream, const latte_fused_tiling& tiling,
                               const void* latent, const void* operand, void* output) const = 0;
};

}  // namespace latte::ascend
