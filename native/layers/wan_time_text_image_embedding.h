// WanTimeTextImageEmbedding: timesteps, a text and an image to the conditions of Wan's blocks.
#pragma once

#include "layers/embedding_sum.h"
#include "layers/parts.h"

namespace latte {

struct WanTimeTextImageConfig {
  int64_t dim = 0, time_freq_dim = 0, time_proj_dim = 0, text_embed_dim = 0;
  int64_t image_embed_dim = 0;    // 0: takes no image
  int64_t pos_embed_seq_len = 0;  // 0: an image gets no positions
};

/// The weights, and the tables as layer_norm and add take them.
struct WanWeights : LoadedParts {
  std::map<std::string, Tensor> floats;  // the tables as float32, on the device
};

/// timestep [N], text [B, L, text_embed_dim] (, image [b, s, image_embed_dim]) → temb [N, dim], its
/// projection [N, time_proj_dim], text [B, L, dim] (, image [b, s, dim]). With timestep_seq_len S
/// the first two are [N/S, S, ·]. With positions, each pair of images becomes one sequence: the
/// image's output is [b/2, 2s, dim].
class WanTimeTextImageEmbedding final : public ComposedLayer<WanWeights> {
 public:
  WanTimeTextImageEmbedding(Device& device, DType dtype, const WanTimeTextImageConfig& config);

  Plan plan(const std::vector<std::optional<TensorSpec>>& inputs,
            const ForwardOptions& options) override;

 protected:
  void prepare(WanWeights& loaded) const override;

 private:
  Shape image_shape(const TensorSpec& image) const;

  WanTimeTextImageConfig config_;
  Timesteps time_proj_;
};

}  // namespace latte
