#include "layers/linear.h"

namespace latte {

Linear::Linear(Device& device, DType dtype, const LinearConfig& config)
    : ComposedLayer(
          "Linear", device, dtype,
          {.linears = {{"", config.in_features, config.out_features, config.bias}}, .tables = {}}),
      config_(config) {}

Plan Linear::plan(const std::vector<std::optional<TensorSpec>>& inputs, const ForwardOptions&) {
  const TensorSpec& input = inputs.at(0).value();
  check_features(input, "input", config_.in_features);
  Plan plan;
  plan.outputs = {{dtype(), with_features(input.shape, config_.out_features)}};
  plan.input_dtypes = {dtype()};
  plan.run = [weights = weights(), dtype = dtype()](Queue& queue, const Inputs& in,
                                                    const Outputs& out) {
    LinearArgs args;
    args.input = as_rows(as_dtype(queue, *in[0], dtype));
    args.weights = weights->linear("");
    args.output = LinearOutput::dense(out[0]);
    queue.linear(args);
  };
  return plan;
}

}  // namespace latte
