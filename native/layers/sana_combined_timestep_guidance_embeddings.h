// SanaCombinedTimestepGuidanceEmbeddings: timesteps and a guidance scale to one embedding, and the
// modulation of the transformer's blocks.
#pragma once

#include "layers/embedding_sum.h"
#include "layers/parts.h"

namespace latte {

/// timestep [N], guidance [N] → modulation [N, 6·D], embedded timestep [N, D] with D =
/// embedding_dim. An input of one row serves all rows.
class SanaCombinedTimestepGuidanceEmbeddings final : public ComposedLayer<> {
 public:
  SanaCombinedTimestepGuidanceEmbeddings(Device& device, DType dtype, int64_t embedding_dim);

  Plan plan(const std::vector<std::optional<TensorSpec>>& inputs,
            const ForwardOptions& options) override;

 private:
  int64_t dim_;
  Timesteps time_proj_;
};

}  // namespace latte
