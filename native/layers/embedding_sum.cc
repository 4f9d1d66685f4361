#include "layers/embedding_sum.h"

#include <algorithm>

namespace latte {

void check_numbers(const TensorSpec& numbers, const char* name) {
  if (numbers.shape.size() != 1) {
    fail(ErrorCode::kShape, "Timesteps should be a 1d-array, but ", name, " has shape ",
         ShowShape{numbers.shape});
  }
}

int64_t rows_of_sum(const std::vector<NamedRows>& inputs) {
  const NamedRows* wide = nullptr;
  for (const NamedRows& input : inputs) {
    if (input.rows == 1) continue;
    if (wide != nullptr && wide->rows != input.rows) {
      fail(ErrorCode::kShape, input.name, " must have 1 row or as many as ", wide->name, ", ",
           wide->rows, ", but has ", input.rows);
    }
    wide = &input;
  }
  return wide == nullptr ? 1 : wide->rows;
}

void run_embedding_sum(Queue& queue, const std::vector<EmbeddingTerm>& terms,
                       const TensorView& output) {
  const int64_t rows = output.shape[0], dim = output.shape[1];
  bool begun = false;
  const auto add = [&](const EmbeddingTerm& term) {
    LinearOutput to = LinearOutput::dense(output);
    to.accumulate = begun;
    run_timestep_embedding(queue, {}, term.mlp, term.input, to);
    begun = true;
  };
  // The terms of one row come first: their sum is copied to all rows.
  if (rows > 1) {
    for (const EmbeddingTerm& term : terms) {
      if (term.input.shape[0] == 1) add(term);
    }
    if (begun) repeat_elements(queue, output, dim);
  }
  for (const EmbeddingTerm& term : terms) {
    if (term.input.shape[0] == rows) add(term);
  }
}

int64_t rows_of_steps(const NamedRows& time, std::vector<NamedRows> inputs,
                      const std::optional<int64_t>& rows_per_step) {
  if (!rows_per_step) {
    inputs.insert(inputs.begin(), time);
    return rows_of_sum(inputs);
  }
  for (const NamedRows& input : inputs) {
    if (input.rows == 1 || input.rows == *rows_per_step) continue;
    fail(ErrorCode::kShape, input.name, " must have 1 row or ", *rows_per_step,
         ", as many as a step, but has ", input.rows);
  }
  if (*rows_per_step < 0 || *rows_per_step > (int64_t{1} << 40) / std::max(time.rows, int64_t{1})) {
    fail(ErrorCode::kShape, "a step cannot have ", *rows_per_step, " rows");
  }
  return time.rows * *rows_per_step;
}

void run_step_sum(Queue& queue, const EmbeddingTerm& time, std::vector<EmbeddingTerm> others,
                  const std::optional<int64_t>& rows_per_step, const TensorView& output) {
  if (output.size() == 0) return;
  if (!rows_per_step) {
    others.insert(others.begin(), time);
    return run_embedding_sum(queue, others, output);
  }
  run_steps(queue, time, *rows_per_step, output,
            [&](const TensorView& step) { run_embedding_sum(queue, others, step); });
}

void run_steps(Queue& queue, const EmbeddingTerm& time, int64_t rows, const TensorView& output,
               const std::function<void(const TensorView& step)>& run_others) {
  if (output.size() == 0) return;
  const int64_t dim = output.shape[1];
  TensorView step = part_of(output, 0, rows * dim);
  step.shape = {rows, dim};
  run_others(step);
  repeat_elements(queue, output, rows * dim);
  run_repeated_embedding(queue, time.mlp, time.input, rows, output);
}

TensorView run_sinusoids(Queue& queue, const Timesteps& projection, const TensorView& numbers,
                         DType hidden, DType dtype) {
  const TensorView sinusoids =
      queue.scratch_tensor({hidden, {numbers.shape[0], projection.sinusoids().dim}});
  projection.project(queue, as_dtype(queue, numbers, DType::kFloat32), sinusoids);
  return as_dtype(queue, sinusoids, dtype);
}

void run_modulation(Queue& queue, const LinearWeights& linear, const TensorView& embedded,
                    const TensorView& modulation) {
  run_converted(queue, linear.dtype, modulation, [&](const TensorView& result) {
    LinearArgs args;
    args.input = as_dtype(queue, embedded, linear.dtype);
    args.weights = &linear;
    args.input_activation = Activation::kSilu;
    args.output = LinearOutput::dense(result);
    queue.linear(args);
  });
}

}  // namespace latte
