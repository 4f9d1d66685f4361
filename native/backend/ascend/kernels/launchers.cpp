// The plugin's C interface over the launch functions that the toolkit's build generates for each
// kernel (aclrtlaunch_<kernel>.h): plain host code.
#include "kernel_plugin_abi.h"

#include "aclrtlaunch_latte_patch_projection.h"
#include "aclrtlaunch_latte_patchify.h"
#include "aclrtlaunch_latte_timestep_projection.h"

namespace {

// The generated functions take device memory and the tiling through pointers that are not const;
// they read the tiling before they return.
void* device(const void* pointer) { return const_cast<void*>(pointer); }

int32_t timestep_projection(void* stream, const latte_timestep_tiling* tiling,
                            const void* timesteps, const void* frequencies, void* output) {
  latte_timestep_tiling copy = *tiling;
  return static_cast<int32_t>(ACLRT_LAUNCH_KERNEL(latte_timestep_projection)(
      tiling->blocks, stream, device(timesteps), device(frequencies), output, &copy));
}

int32_t patchify(void* stream, const latte_patchify_tiling* tiling, const void* latent,
                 void* patches) {
  latte_patchify_tiling copy = *tiling;
  return static_cast<int32_t>(
      ACLRT_LAUNCH_KERNEL(latte_patchify)(tiling->blocks, stream, device(latent), patches, &copy));
}

int32_t patch_projection_fused(void* stream, const latte_fused_tiling* tiling, const void* latent,
                               const void* operand, void* output) {
  latte_fused_tiling copy = *tiling;
  return static_cast<int32_t>(ACLRT_LAUNCH_KERNEL(latte_patch_projection)(
      tiling->blocks, stream, device(latent), device(operand), output, &copy));
}

const latte_kernels kernels = {LATTE_KERNELS_ABI_VERSION, sizeof(latte_kernels),
                               timestep_projection, patchify, patch_projection_fused};

}  // namespace

#define LATTE_EXPORT extern "C" __attribute__((visibility("default")))

LATTE_EXPORT uint32_t latte_kernels_abi_version(void) { return LATTE_KERNELS_ABI_VERSION; }

LATTE_EXPORT const latte_kernels* latte_kernels_open(uint32_t abi_version) {
  return abi_version == LATTE_KERNELS_ABI_VERSION ? &kernels : nullptr;
}
