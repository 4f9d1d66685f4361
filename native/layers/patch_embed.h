// PatchEmbed: patches of a latent to tokens, with a sinusoidal position table.
#pragma once

#include "layers/layer.h"
#include "layers/patch_positions.h"

namespace latte {

struct PatchEmbedConfig {
  int64_t height = 224, width = 224, patch_size = 16, in_channels = 3, embed_dim = 768;
  bool layer_norm = false, flatten = true, bias = true;
  double interpolation_scale = 1;
  bool positions = true;           // false: none are added
  int64_t pos_embed_max_size = 0;  // above 0: crops of a stored table of that many rows and columns
};

/// latent [B, C, H, W] → [B, N, D] with N = ⌊H/p⌋·⌊W/p⌋, or [B, D, ⌊H/p⌋, ⌊W/p⌋] unflattened.
/// A latent [B, C, F, H, W] is read as the B·F images of a video → [B·F, N, D].
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
    Tensor stored_positions;  // as they came in the state dict, on the host; data is null for none
    std::shared_ptr<const PreparedPositions> positions;  // the same, prepared; null for crops
    MakeTable crop;                                      // of the stored table, if it is cropped
    std::shared_ptr<PositionsCache> crops;
  };

  Shape stored_shape() const;
  void check_crop(Grid grid) const;
  std::shared_ptr<LazyPositions> positions_for(Grid grid);
  Plan plan_unflattened(const LatentView& latent, Grid grid);

  PatchEmbedConfig config_;
  PatchPositions positions_;
  PositionsCache tables_;
  std::shared_ptr<const Weights> weights_;
};

}  // namespace latte
