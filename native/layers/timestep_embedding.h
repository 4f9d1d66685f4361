// TimestepEmbedding: linear_1 → activation → linear_2 (→ post activation).
#pragma once

#include "layers/mlp.h"

namespace latte {

struct TimestepEmbeddingConfig {
  int64_t in_channels = 256;
  int64_t time_embed_dim = 0;
  int64_t out_dim = 0;        // 0: time_embed_dim
  int64_t cond_proj_dim = 0;  // 0: takes no condition
  Activation activation = Activation::kSilu;
  Activation post_activation = Activation::kNone;
  bool bias = true;
};

/// The MLP, and the condition's linear (null if the layer takes none), on a device.
struct TimestepEmbeddingWeights : Mlp {
  std::shared_ptr<const LinearWeights> cond_proj;
};

// The functions of a TimestepEmbedding, for layers that contain several of them. `prefix` comes
// before the parameters' names.
std::vector<Parameter> timestep_embedding_parameters(const TimestepEmbeddingConfig& config,
                                                     const std::string& prefix);
TimestepEmbeddingWeights load_timestep_embedding(const TimestepEmbeddingConfig& config,
                                                 Device& device, DType dtype,
                                                 const StateDict& state, const std::string& prefix);
void save_timestep_embedding(const TimestepEmbeddingWeights& weights, const std::string& prefix,
                             StateDict& state);
/// Queues sample [rows, in_channels], of the weights' dtype, → `output` [rows, out_dim]. Of
/// `config` it reads the activations alone: `{}` is SiLU between the linears.
void run_timestep_embedding(Queue& queue, const TimestepEmbeddingConfig& config, const Mlp& mlp,
                            const TensorView& sample, const LinearOutput& output);

/// Queues `output` [n·times, out_dim] += the embedding of sample [n, in_channels], with SiLU
/// between the linears: row i of it in the rows [i·times, (i + 1)·times).
void run_repeated_embedding(Queue& queue, const Mlp& mlp, const TensorView& sample, int64_t times,
                            const TensorView& output);

/// sample [..., in_channels] (+ condition [..., cond_proj_dim]) → [..., out_dim].
class TimestepEmbedding final : public Layer {
 public:
  TimestepEmbedding(Device& device, DType dtype, const TimestepEmbeddingConfig& config)
      : Layer(device, dtype), config_(config) {}

  std::vector<Parameter> parameters() const override {
    return timestep_embedding_parameters(config_, "");
  }
  void load(const StateDict& state) override;
  StateDict state() const override;
  Plan plan(const std::vector<std::optional<TensorSpec>>& inputs,
            const ForwardOptions& options) override;

 private:
  TimestepEmbeddingConfig config_;
  std::shared_ptr<const TimestepEmbeddingWeights> weights_;
};

}  // namespace latte
