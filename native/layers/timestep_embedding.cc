#include "layers/timestep_embedding.h"

namespace latte {

namespace {

int64_t out_features(const TimestepEmbeddingConfig& config) {
  return config.out_dim > 0 ? config.out_dim : config.time_embed_dim;
}

}  // namespace

std::vector<Parameter> timestep_embedding_parameters(const TimestepEmbeddingConfig& config,
                                                     const std::string& prefix) {
  std::vector<Parameter> parameters = {
      {prefix + "linear_1.weight", {config.time_embed_dim, config.in_channels}},
      {prefix + "linear_2.weight", {out_features(config), config.time_embed_dim}},
  };
  if (config.bias) {
    parameters.push_back({prefix + "linear_1.bias", {config.time_embed_dim}});
    parameters.push_back({prefix + "linear_2.bias", {out_features(config)}});
  }
  if (config.cond_proj_dim > 0) {
    parameters.push_back({prefix + "cond_proj.weight", {config.in_channels, config.cond_proj_dim}});
  }
  return parameters;
}

TimestepEmbeddingWeights load_timestep_embedding(const TimestepEmbeddingConfig& config,
                                                 Device& device, DType dtype,
                                                 const StateDict& state,
                                                 const std::string& prefix) {
  TimestepEmbeddingWeights weights;
  weights.linear_1 = load_linear(device, dtype, state, prefix + "linear_1");
  weights.linear_2 = load_linear(device, dtype, state, prefix + "linear_2");
  if (config.cond_proj_dim > 0) {
    weights.cond_proj = load_linear(device, dtype, state, prefix + "cond_proj");
  }
  return weights;
}

void save_timestep_embedding(const TimestepEmbeddingWeights& weights, const std::string& prefix,
                             StateDict& state) {
  save_linear(*weights.linear_1, prefix + "linear_1", state);
  save_linear(*weights.linear_2, prefix + "linear_2", state);
  if (weights.cond_proj) save_linear(*weights.cond_proj, prefix + "cond_proj", state);
}

void run_timestep_embedding(Queue& queue, const TimestepEmbeddingConfig& config, const Mlp& mlp,
                            const TensorView& sample, const LinearOutput& output) {
  LinearArgs first;
  first.input = sample;
  first.weights = mlp.linear_1.get();
  first.activation = config.activation;
  LinearArgs second;
  second.weights = mlp.linear_2.get();
  second.activation = config.post_activation;
  second.output = output;
  if (!queue.linear_pair(first, second)) run_linears(queue, first, second);
}

void run_repeated_embedding(Queue& queue, const Mlp& mlp, const TensorView& sample, int64_t times,
                            const TensorView& output) {
  LinearOutput to = LinearOutput::dense(output);
  to.accumulate = true;
  if (times == 1) return run_timestep_embedding(queue, {}, mlp, sample, to);
  LinearArgs first, second;
  first.input = sample;
  first.weights = mlp.linear_1.get();
  first.activation = Activation::kSilu;
  second.input =
      queue.scratch_tensor({sample.dtype, {sample.shape[0], first.weights->out_features}});
  first.output = LinearOutput::dense(second.input);
  queue.linear(first);
  second.weights = mlp.linear_2.get();
  second.output = to;
  const int64_t dim = output.shape.back();
  second.output.outer_stride = times * dim;
  for (int64_t i = 0; i < times; ++i) {
    second.output.data = part_of(output, i * dim, 0).data;
    queue.linear(second);
  }
}

void TimestepEmbedding::load(const StateDict& state) {
  weights_ = std::make_shared<const TimestepEmbeddingWeights>(
      load_timestep_embedding(config_, device(), dtype(), state, ""));
}

StateDict TimestepEmbedding::state() const {
  StateDict state;
  save_timestep_embedding(*loaded(weights_, "TimestepEmbedding"), "", state);
  return state;
}

Plan TimestepEmbedding::plan(const std::vector<std::optional<TensorSpec>>& inputs,
                             const ForwardOptions&) {
  const TensorSpec& sample = inputs.at(0).value();
  check_features(sample, "sample", config_.in_channels);
  if (inputs.at(1)) {
    if (config_.cond_proj_dim == 0) {
      fail(ErrorCode::kValue, "condition was given, but the layer has no condProjDim");
    }
    check_features(*inputs[1], "condition", config_.cond_proj_dim);
    const Shape expected = with_features(sample.shape, config_.cond_proj_dim);
    if (inputs[1]->shape != expected) {
      fail(ErrorCode::kShape, "condition must have shape ", ShowShape{expected},
           " beside a sample ", ShowShape{sample.shape}, ", but has ", ShowShape{inputs[1]->shape});
    }
  }

  Plan plan;
  plan.outputs = {{dtype(), with_features(sample.shape, out_features(config_))}};
  plan.input_dtypes = {dtype(), dtype()};
  plan.run = [weights = loaded(weights_, "TimestepEmbedding"), config = config_, dtype = dtype()](
                 Queue& queue, const Inputs& in, const Outputs& out) {
    TensorView sample = as_rows(as_dtype(queue, *in[0], dtype));
    if (in[1]) {
      // The sum is made in a copy, because the sample's memory is the caller's.
      const TensorView sum = queue.scratch_tensor(sample);
      queue.convert(sample, sum);
      LinearArgs projection;
      projection.input = as_rows(as_dtype(queue, *in[1], dtype));
      projection.weights = weights->cond_proj.get();
      projection.output = LinearOutput::dense(sum);
      projection.output.accumulate = true;
      queue.linear(projection);
      sample = sum;
    }
    run_timestep_embedding(queue, config, *weights, sample, LinearOutput::dense(out[0]));
  };
  return plan;
}

}  // namespace latte
