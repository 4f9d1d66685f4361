// Sums of embeddings: a timestep, a guidance scale, a pooled text …, each through an MLP of its
// own.
#pragma once

#include "layers/timestep_embedding.h"
#include "layers/timesteps.h"

namespace latte {

/// The channels of the sinusoids that embedders take.
constexpr int64_t kSinusoidChannels = 256;

/// Throws ERR_SHAPE unless timesteps, or numbers like them, have one axis.
void check_numbers(const TensorSpec& numbers, const char* name);

/// The rows of an input of a sum.
struct NamedRows {
  const char* name;
  int64_t rows;
};
/// The rows of the sum: those of all inputs with more or fewer than one. Throws ERR_SHAPE if they
/// differ.
int64_t rows_of_sum(const std::vector<NamedRows>& inputs);

/// One term of a sum: SiLU between the two linears.
struct EmbeddingTerm {
  TensorView input;  // [rows, features], of the weights' dtype
  TimestepEmbeddingWeights weights;
};

/// Queues output [rows, D] = the sum of the terms. A term of one row serves all rows; it is
/// computed once.
void run_embedding_sum(Queue& queue, const std::vector<EmbeddingTerm>& terms,
                       const TensorView& output);

/// Queues the sinusoids of float32 numbers [rows], rounded to `hidden` and then to `dtype`.
TensorView run_sinusoids(Queue& queue, const Timesteps& projection, const TensorView& numbers,
                         DType hidden, DType dtype);

/// `run` gets memory for a result in `dtype`, and queues what writes it. That memory is `to` itself
/// if its dtype is the same; else the result is converted.
template <class Run>
void run_converted(Queue& queue, DType dtype, const TensorView& to, const Run& run) {
  TensorView result = to;
  if (to.dtype != dtype) result = queue.scratch_tensor({dtype, to.shape});
  run(result);
  if (to.dtype != dtype) queue.convert(result, to);
}

/// Queues modulation [rows, n·D] = linear(silu(embedded)), both of any layer dtype.
void run_modulation(Queue& queue, const LinearWeights& linear, const TensorView& embedded,
                    const TensorView& modulation);

}  // namespace latte
