// PixArtAlphaTextProjection: linear_1 → activation → linear_2 over the last axis.
#pragma once

#include "layers/parts.h"

namespace latte {

struct PixArtAlphaTextProjectionConfig {
  int64_t in_features = 0, hidden_size = 0, out_features = 0;
  Activation activation = Activation::kGeluTanh;
  const char* name = "PixArtAlphaTextProjection";  // in messages
};

/// caption [..., in_features] → [..., out_features]. CaptionProjection is this layer, too.
class PixArtAlphaTextProjection final : public ComposedLayer<> {
 public:
  PixArtAlphaTextProjection(Device& device, DType dtype,
                            const PixArtAlphaTextProjectionConfig& config);

  Plan plan(const std::vector<std::optional<TensorSpec>>& inputs,
            const ForwardOptions& options) override;

 private:
  PixArtAlphaTextProjectionConfig config_;
};

}  // namespace latte
