// The launch functions of our kernels on the twin, with the signatures that the toolkit's build
// gives them. Each queues its kernel on a stream; the kernel runs on the model.
#pragma once

#include <cstdint>

#include "kernel_tiling.h"

#define ACLRT_LAUNCH_KERNEL(kernel) aclrtlaunch_##kernel

extern "C" {
uint32_t aclrtlaunch_latte_timestep_projection(uint32_t blocks, void* stream, void* timesteps,
                                               void* frequencies, void* output,
                                               latte_timestep_tiling* tiling);
uint32_t aclrtlaunch_latte_patchify(uint32_t blocks, void* stream, void* latent, void* patches,
                                    latte_patchify_tiling* tiling);
uint32_t aclrtlaunch_latte_patch_projection(uint32_t blocks, void* stream, void* latent,
                                            void* operand, void* output,
                                            latte_fused_tiling* tiling);
}
