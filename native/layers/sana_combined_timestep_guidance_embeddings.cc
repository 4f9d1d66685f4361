#include "layers/sana_combined_timestep_guidance_embeddings.h"

namespace latte {

namespace {

Parts parts_of(int64_t dim) {
  Parts parts;
  parts.add_mlp("timestep_embedder.", kSinusoidChannels, dim, dim);
  parts.add_mlp("guidance_embedder.", kSinusoidChannels, dim, dim);
  parts.linears.push_back({"linear.", dim, 6 * dim});
  return parts;
}

}  // namespace

SanaCombinedTimestepGuidanceEmbeddings::SanaCombinedTimestepGuidanceEmbeddings(
    Device& device, DType dtype, int64_t embedding_dim)
    : ComposedLayer("SanaCombinedTimestepGuidanceEmbeddings", device, dtype,
                    parts_of(embedding_dim)),
      dim_(embedding_dim),
      time_proj_(device, TimestepsConfig{}) {}

Plan SanaCombinedTimestepGuidanceEmbeddings::plan(
    const std::vector<std::optional<TensorSpec>>& inputs, const ForwardOptions& options) {
  const TensorSpec &timestep = inputs.at(0).value(), &guidance = inputs.at(1).value();
  check_numbers(timestep, "timestep");
  check_numbers(guidance, "guidance");
  const int64_t rows = rows_of_steps({"timestep", timestep.shape[0]},
                                     {{"guidance", guidance.shape[0]}}, options.rows_per_step);
  const DType hidden = options.hidden_dtype.value_or(dtype());
  Plan plan;
  plan.outputs = {{hidden, {rows, 6 * dim_}}, {hidden, {rows, dim_}}};
  plan.input_dtypes = {DType::kFloat32, DType::kFloat32};
  plan.run = [weights = weights(), time_proj = time_proj_, rows_per_step = options.rows_per_step,
              hidden, dtype = dtype()](Queue& queue, const Inputs& in, const Outputs& out) {
    const auto term = [&](size_t i, const char* embedder) {
      return EmbeddingTerm{run_sinusoids(queue, time_proj, *in[i], hidden, dtype),
                           weights->mlp(embedder)};
    };
    run_converted(queue, dtype, out[1], [&](const TensorView& embedded) {
      run_step_sum(queue, term(0, "timestep_embedder."), {term(1, "guidance_embedder.")},
                   rows_per_step, embedded);
    });
    run_modulation(queue, *weights->linear("linear."), out[1], out[0]);
  };
  return plan;
}

}  // namespace latte
