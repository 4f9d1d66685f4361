// Latents as patch projections read them.
#pragma once

#include "layers/layer.h"

namespace latte {

/// A latent [B, C, H, W], or a video [B, C, F, H, W] whose frames are read in place; without data.
/// Throws ERR_SHAPE, ERR_DTYPE.
/// @param video whether it must be a video; an image may be one.
LatentView latent_view(const TensorSpec& latent, bool video, int64_t channels, DType dtype);

/// Throws ERR_SHAPE unless the latent holds at least one patch.
void check_patch(const LatentView& latent, const PatchSize& patch, const char* name);

}  // namespace latte
