// PatchEmbed: patches of a latent to tokens, with a sinusoidal position table.
#pragma once

#include "layers/layer.h"
#include "layers/patch_positions.h"

namespace latte {

struct PatchEmbedConfig {
  int64_t height = 224, width = 224, patch_size = 16, in_channels = 3, embed_dim = 768;
  bool layer_norm = false, flatten = true, bias = true;
  double interpolation_scale = 1;
  bool positions = true;           // false: no positions are added
  int64_t pos_embed_max_size = 0;  // above 0: a table of so many rows and columns is cropped
};

/// latent [B, C, H, W] → [B, N, D] with N = ⌊H/p⌋·⌊W/p⌋, or [B, D, ⌊H/p⌋, ⌊W/p⌋] if flatten is
/// false. The frames of a latent [B, C, F, H, W] are B·F images → [B·F, N, D].
class PatchEmbed final : public Layer {
 public:
  PatchEmbed(Device& device, DType dtype, const PatchEmbedConfig& config);

  std::vector<Parameter> parameters() const override;
  void load(const StateDict& state) override;
  StateDict state() const override;
  Plan plan(const std::vector<std::optional<TensorSpec>>& inputs,
            const ForwardOptions& options) override;

 private:
  struct Weights {
    std::shared_ptr<const LinearWeights> projection;
    Tensor stored_positions;  // from the state dict, on the host; data is null if it had none
    std::shared_ptr<const PreparedPositions> positions;  // the same, prepared; null if cropped
    MakeTable crop;                         // crops the stored table; empty if it is not cropped
    std::shared_ptr<PositionsCache> crops;  // null if it is not cropped
  };

  Shape stored_shape() const;
  void check_crop(Grid grid) const;
  std::shared_ptr<LazyPositions> positions_for(Grid grid);
  Plan plan_unflattened(const LatentView& latent, Grid grid);

  PatchEmbedConfig config_;
  PatchPositions positions_;
  PositionsCache tables_;  // computed ones
  std::shared_ptr<const Weights> weights_;
};

}  // namespace latte
