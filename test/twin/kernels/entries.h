// The kernels as the plugin's launchers call them.
#pragma once

#include "backend/ascend/kernels/kernel_plugin_abi.h"

extern "C" {
void latte_timestep_projection(uint8_t* timesteps, uint8_t* frequencies, uint8_t* output,
                               latte_timestep_tiling tiling);
void latte_patchify(uint8_t* latent, uint8_t* patches, latte_patchify_tiling tiling);
void latte_patch_projection(uint8_t* latent, uint8_t* operand, uint8_t* output,
                            latte_fused_tiling tiling);
}
