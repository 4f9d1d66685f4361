// CaptionProjection: linear_1 → GELU (tanh form) → linear_2 over the last axis.
#pragma once

#include "layers/layer.h"

namespace latte {

struct CaptionProjectionConfig {
  int64_t in_features = 0;
  int64_t hidden_size = 0;
};

/// caption [..., in_features] → [..., hidden_size].
class CaptionProjection final : public Layer {
 public:
  CaptionProjection(Device& device, DType dtype, const CaptionProjectionConfig& config)
      : Layer(device, dtype), config_(config) {}

  std::vector<Parameter> parameters() const override;
  void load(const StateDict& state) override;
  StateDict state() const override;
  Plan plan(const std::vector<std::optional<TensorSpec>>& inputs,
            const ForwardOptions& options) override;

 private:
  struct Weights {
    std::shared_ptr<const LinearWeights> linear_1, linear_2;
  };

  CaptionProjectionConfig config_;
  std::shared_ptr<const Weights> weights_;
};

}  // namespace latte
