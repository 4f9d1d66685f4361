// CogVideoXPatchEmbed: the hidden states of a text, and the patches of a video, to one sequence of
// tokens.
#pragma once

#include <mutex>

#include "layers/parts.h"

namespace latte {

struct CogVideoXPatchEmbedConfig {
  int64_t patch_size = 2;
  int64_t patch_size_t = 0;  // frames of a patch; 0: patches are of one frame (2-D projection)
  int64_t in_channels = 16, embed_dim = 1920, text_embed_dim = 4096;
  bool bias = true;
  int64_t sample_width = 90, sample_height = 60, sample_frames = 49;
  int64_t temporal_compression_ratio = 4, max_text_seq_length = 226;
  double spatial_interpolation_scale = 1.875, temporal_interpolation_scale = 1;
  bool positions = true, learned_positions = true;
};

/// The positions of a sequence: of the tokens of each frame, and of the text's tokens. The first
/// forward that needs them prepares them.
class SequencePositions {
 public:
  struct Prepared {
    std::vector<std::shared_ptr<const PreparedPositions>> frames;
    Tensor text;  // [L, D] on the device, in the layer's dtype; without a buffer: zeros
  };
  using Make = std::function<Prepared()>;

  explicit SequencePositions(Make make) : make_(std::move(make)) {}
  /// On the first call, prepares them. May be called on any thread.
  const Prepared& get();

 private:
  Make make_;
  std::once_flag once_;
  Prepared prepared_;
};

/// The weights, and the positions from the state dict's table.
struct CogVideoXWeights : LoadedParts {
  std::shared_ptr<SequencePositions> stored;  // null without learned positions
};

/// text [B, L, text_embed_dim], images [B, F, C, H, W] → [B, L + N, embed_dim].
class CogVideoXPatchEmbed final : public ComposedLayer<CogVideoXWeights> {
 public:
  CogVideoXPatchEmbed(Device& device, DType dtype, const CogVideoXPatchEmbedConfig& config);

  Plan plan(const std::vector<std::optional<TensorSpec>>& inputs,
            const ForwardOptions& options) override;

 protected:
  void prepare(CogVideoXWeights& loaded) const override;

 private:
  std::shared_ptr<SequencePositions> positions_for(const LatentView& images, int64_t text_length);

  CogVideoXPatchEmbedConfig config_;
  Shape computed_for_;  // frames, rows and columns of tokens of `computed_`
  std::shared_ptr<SequencePositions> computed_;  // of the last size that was not the stored one's
};

}  // namespace latte
