#include "twin_launch.h"

#include "../entries.h"
#include "launch_kernel.h"

using latte::model::CoreKind;
using latte::twin::launch_kernel;
using latte::twin::Way;

namespace {

uint8_t* bytes(void* pointer) { return static_cast<uint8_t*>(pointer); }

}  // namespace

uint32_t aclrtlaunch_latte_timestep_projection(uint32_t blocks, void* stream, void* timesteps,
                                               void* frequencies, void* output,
                                               latte_timestep_tiling* tiling) {
  return launch_kernel(Way::kFunctions, "latte_timestep_projection", CoreKind::kVector, blocks,
                       stream, {timesteps, frequencies, output}, [=, tiling = *tiling] {
                         latte_timestep_projection(bytes(timesteps), bytes(frequencies),
                                                   bytes(output), tiling);
                       });
}

uint32_t aclrtlaunch_latte_patchify(uint32_t blocks, void* stream, void* latent, void* patches,
                                    latte_patchify_tiling* tiling) {
  return launch_kernel(
      Way::kFunctions, "latte_patchify", CoreKind::kVector, blocks, stream, {latent, patches},
      [=, tiling = *tiling] { latte_patchify(bytes(latent), bytes(patches), tiling); });
}

uint32_t aclrtlaunch_latte_patch_projection(uint32_t blocks, void* stream, void* latent,
                                            void* operand, void* output,
                                            latte_fused_tiling* tiling) {
  return launch_kernel(Way::kFunctions, "latte_patch_projection", CoreKind::kCube, blocks, stream,
                       {latent, operand, output}, [=, tiling = *tiling] {
                         latte_patch_projection(bytes(latent), bytes(operand), bytes(output),
                                                tiling);
                       });
}
