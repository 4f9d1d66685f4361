// AdaLayerNormSingle: CombinedTimestepSizeEmbeddings, and from its result the modulation of the
// transformer's blocks.
#pragma once

#include "layers/combined_timestep_size_embeddings.h"

namespace latte {

struct AdaLayerNormSingleConfig {
  int64_t embedding_dim = 0;
  bool use_additional_conditions = false;
  int64_t num_mod_params = 6;
};

/// The inputs of CombinedTimestepSizeEmbeddings → modulation [B, n·D] with n = num_mod_params, and
/// embedded timestep [B, D].
class AdaLayerNormSingle final : public Layer {
 public:
  AdaLayerNormSingle(Device& device, DType dtype, const AdaLayerNormSingleConfig& config);

  std::vector<Parameter> parameters() const override;
  void load(const StateDict& state) override;
  StateDict state() const override;
  Plan plan(const std::vector<std::optional<TensorSpec>>& inputs,
            const ForwardOptions& options) override;

 private:
  AdaLayerNormSingleConfig config_;
  CombinedTimestepSizeEmbeddings emb_;
  std::shared_ptr<const LinearWeights> linear_;
};

}  // namespace latte
