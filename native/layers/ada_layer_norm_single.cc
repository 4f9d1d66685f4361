#include "layers/ada_layer_norm_single.h"

#include "layers/embedding_sum.h"

namespace latte {

AdaLayerNormSingle::AdaLayerNormSingle(Device& device, DType dtype,
                                       const AdaLayerNormSingleConfig& config)
    : Layer(device, dtype),
      config_(config),
      emb_(device, dtype,
           {config.embedding_dim, config.embedding_dim / 3, config.use_additional_conditions}) {}

std::vector<Parameter> AdaLayerNormSingle::parameters() const {
  std::vector<Parameter> parameters;
  for (Parameter& parameter : emb_.parameters()) {
    parameters.push_back({"emb." + parameter.name, parameter.shape, parameter.required});
  }
  const int64_t dim = config_.embedding_dim;
  parameters.push_back({"linear.weight", {config_.num_mod_params * dim, dim}});
  parameters.push_back({"linear.bias", {config_.num_mod_params * dim}});
  return parameters;
}

void AdaLayerNormSingle::load(const StateDict& state) {
  // All steps that can fail come before the first that changes this layer: loading is all or
  // nothing.
  auto linear = load_linear(device(), dtype(), state, "linear");
  StateDict emb;
  for (const Parameter& parameter : emb_.parameters()) {
    emb[parameter.name] = state.at("emb." + parameter.name);
  }
  emb_.load(emb);
  linear_ = std::move(linear);
}

StateDict AdaLayerNormSingle::state() const {
  const auto& linear = loaded(linear_, "AdaLayerNormSingle");
  StateDict state;
  for (auto& [name, tensor] : emb_.state()) state["emb." + name] = tensor;
  save_linear(*linear, "linear", state);
  return state;
}

Plan AdaLayerNormSingle::plan(const std::vector<std::optional<TensorSpec>>& inputs,
                              const ForwardOptions& options) {
  const auto& linear = loaded(linear_, "AdaLayerNormSingle");
  Plan emb = emb_.plan(inputs, options);
  const TensorSpec& embedded = emb.outputs[0];
  Plan plan;
  plan.outputs = {
      {embedded.dtype, {embedded.shape[0], config_.num_mod_params * config_.embedding_dim}},
      embedded};
  plan.input_dtypes = emb.input_dtypes;
  plan.run = [linear, run_emb = std::move(emb.run)](Queue& queue, const Inputs& in,
                                                    const Outputs& out) {
    run_emb(queue, in, {out[1]});
    run_modulation(queue, *linear, out[1], out[0]);
  };
  return plan;
}

}  // namespace latte
