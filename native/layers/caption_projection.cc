#include "layers/caption_projection.h"

namespace latte {

std::vector<Parameter> CaptionProjection::parameters() const {
  return {{"linear_1.weight", {config_.hidden_size, config_.in_features}},
          {"linear_1.bias", {config_.hidden_size}},
          {"linear_2.weight", {config_.hidden_size, config_.hidden_size}},
          {"linear_2.bias", {config_.hidden_size}}};
}

void CaptionProjection::load(const StateDict& state) {
  auto weights = std::make_shared<Weights>();
  weights->linear_1 = load_linear(device(), dtype(), state, "linear_1");
  weights->linear_2 = load_linear(device(), dtype(), state, "linear_2");
  weights_ = std::move(weights);
}

StateDict CaptionProjection::state() const {
  const auto& weights = loaded(weights_, "CaptionProjection");
  StateDict state;
  save_linear(*weights->linear_1, "linear_1", state);
  save_linear(*weights->linear_2, "linear_2", state);
  return state;
}

Plan CaptionProjection::plan(const std::vector<std::optional<TensorSpec>>& inputs,
                             const ForwardOptions&) {
  const TensorSpec& caption = inputs.at(0).value();
  if (caption.shape.empty() || caption.shape.back() != config_.in_features) {
    fail(ErrorCode::kShape, "caption must have shape [..., ", config_.in_features, "], but has ",
         ShowShape{caption.shape});
  }
  if (!is_floating(caption.dtype)) {
    fail(ErrorCode::kDType, "caption must have a floating dtype, but is ",
         dtype_name(caption.dtype));
  }
  const int64_t rows = caption.size() / config_.in_features;
  Plan plan;
  Shape shape = caption.shape;
  shape.back() = config_.hidden_size;
  plan.outputs = {{dtype(), shape}};
  plan.input_dtypes = {dtype()};
  plan.run = [weights = loaded(weights_, "CaptionProjection"), config = config_, rows,
              dtype = dtype()](Queue& queue, const Inputs& in, const Outputs& out) {
    const TensorView hidden = queue.scratch_tensor({dtype, {rows, config.hidden_size}});
    LinearArgs first;
    first.input = as_rows(as_dtype(queue, *in[0], dtype));
    first.weights = weights->linear_1.get();
    first.activation = Activation::kGeluTanh;
    first.output = LinearOutput::dense(hidden);
    queue.linear(first);
    LinearArgs second;
    second.input = hidden;
    second.weights = weights->linear_2.get();
    second.output = LinearOutput::dense(out[0]);
    queue.linear(second);
  };
  return plan;
}

}  // namespace latte
