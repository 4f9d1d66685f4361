// PatchEmbed: patches of a latent to tokens, with a sinusoidal position table.
#pragma once

#include "layers/layer.h"

namespace latte {

struct PatchEmbedConfig {
  int64_t height = 224, width = 224, patch_size = 16, in_channels = 3, embed_dim = 768;
  bool layer_norm = false, flatten = true, bias = true;
  double interpolation_scale = 1;
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
  using Positions = std::shared_ptr<const PositionTable>;
  struct Weights {
    std::shared_ptr<const LinearWeights> projection;
    Tensor loaded_positions;  // as it came from the state dict, in the host's memory
    Positions positions;      // the same, prepared
  };
  struct Grid {
    int64_t height, width;
    bool operator==(const Grid&) const = default;
  };

  bool is_configured(Grid grid) const { return grid == configured_; }
  /// How many rows the table that is built at construction has: ⌊√N⌋² for N configured tokens.
  int64_t stored_rows() const { return stored_side_ * stored_side_; }
  bool fits_configured(int64_t rows) const;
  /// The table to add to a grid of tokens, flattened.
  Positions positions_for(Grid grid);
  /// The same as [rows, dim] float32, for sums that broadcast.
  HostPositionTable whole_positions(Grid grid) const;
  HostPositionTable computed(Grid grid) const;
  HostPositionTable stored() const;
  Plan plan_unflattened(const LatentView& latent, Grid grid);

  PatchEmbedConfig config_;
  Grid configured_;
  int64_t stored_side_ = 0;
  std::shared_ptr<const Weights> weights_;

  /// Prepared tables of the sizes that were seen last.
  struct Prepared {
    Grid grid;
    Positions positions;
  };
  std::vector<Prepared> prepared_;
};

}  // namespace latte
