// QwenTimestepProjEmbeddings: timesteps from 0 to 1 to an embedding. Optionally a condition of 0 or
// 1 chooses a row of a table, which is added.
#pragma once

#include "layers/embedding_sum.h"
#include "layers/parts.h"

namespace latte {

struct QwenTimestepProjConfig {
  int64_t embedding_dim = 0;
  bool use_additional_t_cond = false;
};

/// timestep [N] (, addition_t_cond [N] of zeros and ones) → [N, embedding_dim].
class QwenTimestepProjEmbeddings final : public ComposedLayer<> {
 public:
  QwenTimestepProjEmbeddings(Device& device, DType dtype, const QwenTimestepProjConfig& config);

  Plan plan(const std::vector<std::optional<TensorSpec>>& inputs,
            const ForwardOptions& options) override;

 protected:
  void prepare(LoadedParts& loaded) const override;

 private:
  QwenTimestepProjConfig config_;
  Timesteps time_proj_;
};

}  // namespace latte
