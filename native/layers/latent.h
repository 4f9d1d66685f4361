// Latents as patch projections read them.
#pragma once

#include "layers/layer.h"

namespace latte {

/// Whether a latent must have a frame axis.
enum class Frames { kOptional, kRequired };

/// A view, without data, of a latent [B, C, H, W] or [B, C, F, H, W], as it is after its conversion
/// to `dtype`. Throws ERR_SHAPE, ERR_DTYPE.
LatentView latent_view(const TensorSpec& latent, Frames frames, int64_t channels, DType dtype);

/// Throws ERR_SHAPE unless the latent holds at least one patch. `name` is the input's, for the
/// message.
void check_patch(const LatentView& latent, const PatchSize& patch, const char* name);

}  // namespace latte
