#include "layers/mlp.h"

namespace latte {

void run_mlp(Queue& queue, const Mlp& mlp, Activation activation, const TensorView& sample,
             const LinearOutput& output) {
  LinearArgs first;
  first.input = as_rows(sample);
  first.weights = mlp.linear_1.get();
  first.activation = activation;
  LinearArgs second;
  second.weights = mlp.linear_2.get();
  second.output = output;
  run_linears(queue, first, second);
}

void run_linears(Queue& queue, LinearArgs& first, LinearArgs& second) {
  second.input =
      queue.scratch_tensor({first.weights->dtype, {first.rows(), first.weights->out_features}});
  first.output = LinearOutput::dense(second.input);
  queue.linear(first);
  queue.linear(second);
}

}  // namespace latte
