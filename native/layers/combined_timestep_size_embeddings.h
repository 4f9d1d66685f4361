// CombinedTimestepSizeEmbeddings: timesteps, resolution and aspect ratio to one embedding.
#pragma once

#include "layers/timestep_embedding.h"
#include "layers/timesteps.h"

namespace latte {

struct CombinedConfig {
  int64_t embedding_dim = 0;
  int64_t size_emb_dim = 0;
  bool use_additional_conditions = false;
};

/// timestep [N] (+ resolution [b, d_r], aspect ratio [b, d_a]) → [B, embedding_dim].
class CombinedTimestepSizeEmbeddings final : public Layer {
 public:
  CombinedTimestepSizeEmbeddings(Device& device, DType dtype, const CombinedConfig& config);

  std::vector<Parameter> parameters() const override;
  void load(const StateDict& state) override;
  StateDict state() const override;
  Plan plan(const std::vector<std::optional<TensorSpec>>& inputs,
            const ForwardOptions& options) override;

 private:
  struct Weights {
    TimestepEmbeddingWeights timestep, resolution, aspect_ratio;
  };

  CombinedConfig config_;
  TimestepEmbeddingConfig timestep_config_, size_config_;
  Timesteps time_proj_;
  std::shared_ptr<const Weights> weights_;
};

}  // namespace latte
