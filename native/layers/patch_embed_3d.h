// PatchEmbed3d: patches of a video to tokens.
#pragma once

#include "layers/parts.h"

namespace latte {

struct PatchEmbed3dConfig {
  PatchSize patch;
  int64_t in_channels = 0, embed_dim = 0;
  bool bias = true;
};

/// latent [B, C, F, H, W] → [B, N, D] with N = ⌊F/frames⌋·⌊H/height⌋·⌊W/width⌋.
class PatchEmbed3d final : public ComposedLayer<> {
 public:
  PatchEmbed3d(Device& device, DType dtype, const PatchEmbed3dConfig& config);

  Plan plan(const std::vector<std::optional<TensorSpec>>& inputs,
            const ForwardOptions& options) override;

 private:
  PatchEmbed3dConfig config_;
};

}  // namespace latte
