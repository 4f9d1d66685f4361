// Linear: a linear over the last axis.
#pragma once

#include "layers/parts.h"

namespace latte {

struct LinearConfig {
  int64_t in_features = 0, out_features = 0;
  bool bias = true;
};

/// x [..., in_features] → [..., out_features].
class Linear final : public ComposedLayer<> {
 public:
  Linear(Device& device, DType dtype, const LinearConfig& config);

  Plan plan(const std::vector<std::optional<TensorSpec>>& inputs,
            const ForwardOptions& options) override;

 private:
  LinearConfig config_;
};

}  // namespace latte
