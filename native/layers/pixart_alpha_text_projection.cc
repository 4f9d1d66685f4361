#include "layers/pixart_alpha_text_projection.h"

namespace latte {

PixArtAlphaTextProjection::PixArtAlphaTextProjection(Device& device, DType dtype,
                                                     const PixArtAlphaTextProjectionConfig& config)
    : ComposedLayer(
          config.name, device, dtype,
          Parts().add_mlp("", config.in_features, config.hidden_size, config.out_features)),
      config_(config) {}

Plan PixArtAlphaTextProjection::plan(const std::vector<std::optional<TensorSpec>>& inputs,
                                     const ForwardOptions&) {
  const TensorSpec& caption = inputs.at(0).value();
  check_features(caption, "caption", config_.in_features);
  Plan plan;
  plan.outputs = {{dtype(), with_features(caption.shape, config_.out_features)}};
  plan.input_dtypes = {dtype()};
  plan.run = [weights = weights(), activation = config_.activation, dtype = dtype()](
                 Queue& queue, const Inputs& in, const Outputs& out) {
    run_mlp(queue, weights->mlp(""), activation, as_dtype(queue, *in[0], dtype),
            LinearOutput::dense(out[0]));
  };
  return plan;
}

}  // namespace latte
