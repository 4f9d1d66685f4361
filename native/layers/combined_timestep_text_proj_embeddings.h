// CombinedTimestepTextProjEmbeddings, and CombinedTimestepGuidanceTextProjEmbeddings: timesteps, a
// pooled text and optionally a guidance scale to one embedding.
#pragma once

#include "layers/embedding_sum.h"
#include "layers/parts.h"

namespace latte {

struct CombinedTimestepTextProjConfig {
  int64_t embedding_dim = 0, pooled_projection_dim = 0;
  bool guidance = false;
};

/// timestep [N], pooled projection [N, P] (, guidance [N]) → [N, embedding_dim]. An input of one
/// row serves all rows.
class CombinedTimestepTextProjEmbeddings final : public ComposedLayer<> {
 public:
  CombinedTimestepTextProjEmbeddings(Device& device, DType dtype,
                                     const CombinedTimestepTextProjConfig& config);

  Plan plan(const std::vector<std::optional<TensorSpec>>& inputs,
            const ForwardOptions& options) override;

 private:
  CombinedTimestepTextProjConfig config_;
  Timesteps time_proj_;
};

}  // namespace latte
