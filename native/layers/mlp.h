// MLPs: two linears with an activation between them. Most embeddings consist of these.
#pragma once

#include "layers/layer.h"

namespace latte {

/// The linears of an MLP on a device. In most state dicts they are `<prefix>linear_1` and
/// `<prefix>linear_2`.
struct Mlp {
  std::shared_ptr<const LinearWeights> linear_1, linear_2;
};

/// Queues linear_1 → `activation` → linear_2 for a text or an image: sample [..., features] →
/// `output`. Unlike run_timestep_embedding() this does not use Queue::linear_pair(), which an NPU
/// captures and replays for each number of rows: texts have too many different numbers of rows for
/// that.
void run_mlp(Queue& queue, const Mlp& mlp, Activation activation, const TensorView& sample,
             const LinearOutput& output);

/// Queues two linears, one after the other. Sets first.output and second.input to scratch memory
/// between them.
void run_linears(Queue& queue, LinearArgs& first, LinearArgs& second);

}  // namespace latte
