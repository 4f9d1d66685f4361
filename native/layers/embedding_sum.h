// Sums of embeddings: of a timestep, a guidance scale, a pooled text …, each of which has an MLP of
// its own.
#pragma once

#include "layers/timestep_embedding.h"
#include "layers/timesteps.h"

namespace latte {

/// The channels of the sinusoids that timestep embedders take.
constexpr int64_t kSinusoidChannels = 256;

/// Throws ERR_SHAPE unless the numbers, timesteps for example, have one axis.
void check_numbers(const TensorSpec& numbers, const char* name);

/// How many rows an input of a sum has.
struct NamedRows {
  const char* name;
  int64_t rows;
};
/// The rows of the sum. Inputs of one row serve all rows; throws ERR_SHAPE if the others differ.
int64_t rows_of_sum(const std::vector<NamedRows>& inputs);

/// One term of a sum: an MLP with SiLU between the linears.
struct EmbeddingTerm {
  TensorView input;  // [rows, features], of the weights' dtype
  Mlp mlp;
};

/// Queues output [rows, D] = the sum of the terms. A term of one row serves all rows; it is
/// computed once.
void run_embedding_sum(Queue& queue, const std::vector<EmbeddingTerm>& terms,
                       const TensorView& output);

/// The rows of a plan's sum: `rows_per_step` for each of `steps` timesteps; without the option
/// those of a plain sum of `time` and `inputs`. Throws ERR_SHAPE if an input has another number of
/// rows.
int64_t rows_of_steps(const NamedRows& time, std::vector<NamedRows> inputs,
                      const std::optional<int64_t>& rows_per_step);

/// Queues the sum of a time term and others. With `rows_per_step` r the output is [steps·r, D]: row
/// i·r + j is row i of the time term plus row j of the others, whose sum is computed once.
void run_step_sum(Queue& queue, const EmbeddingTerm& time, std::vector<EmbeddingTerm> others,
                  const std::optional<int64_t>& rows_per_step, const TensorView& output);

/// The same sum of a layer whose other terms are not EmbeddingTerms: run_others(step) queues what
/// writes `step` [rows, D], the sum of the other terms.
void run_steps(Queue& queue, const EmbeddingTerm& time, int64_t rows, const TensorView& output,
               const std::function<void(const TensorView& step)>& run_others);

/// Queues the sinusoids of float32 numbers [rows], rounded to `hidden` and then to `dtype`.
TensorView run_sinusoids(Queue& queue, const Timesteps& projection, const TensorView& numbers,
                         DType hidden, DType dtype);

/// Calls run(result), which queues what writes `result`, a tensor of `dtype` and the shape of `to`.
/// `result` is `to` itself if the dtypes are equal; else it is scratch memory, and is converted to
/// `to`.
template <class Run>
void run_converted(Queue& queue, DType dtype, const TensorView& to, const Run& run) {
  TensorView result = to;
  if (to.dtype != dtype) result = queue.scratch_tensor({dtype, to.shape});
  run(result);
  if (to.dtype != dtype) queue.convert(result, to);
}

/// Queues modulation [rows, n·D] = linear(silu(embedded)). `embedded` [rows, D] and `modulation`
/// may have any layer dtype.
void run_modulation(Queue& queue, const LinearWeights& linear, const TensorView& embedded,
                    const TensorView& modulation);

}  // namespace latte
