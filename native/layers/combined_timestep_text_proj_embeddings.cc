#include "layers/combined_timestep_text_proj_embeddings.h"

namespace latte {

namespace {

Parts parts_of(const CombinedTimestepTextProjConfig& config) {
  const int64_t dim = config.embedding_dim;
  Parts parts;
  parts.add_mlp("timestep_embedder.", kSinusoidChannels, dim, dim);
  if (config.guidance) parts.add_mlp("guidance_embedder.", kSinusoidChannels, dim, dim);
  parts.add_mlp("text_embedder.", config.pooled_projection_dim, dim, dim);
  return parts;
}

}  // namespace

CombinedTimestepTextProjEmbeddings::CombinedTimestepTextProjEmbeddings(
    Device& device, DType dtype, const CombinedTimestepTextProjConfig& config)
    : ComposedLayer(config.guidance ? "CombinedTimestepGuidanceTextProjEmbeddings"
                                    : "CombinedTimestepTextProjEmbeddings",
                    device, dtype, parts_of(config)),
      config_(config),
      time_proj_(device, TimestepsConfig{}) {}

Plan CombinedTimestepTextProjEmbeddings::plan(const std::vector<std::optional<TensorSpec>>& inputs,
                                              const ForwardOptions& options) {
  const TensorSpec &timestep = inputs.at(0).value(), &pooled = inputs.at(1).value();
  check_numbers(timestep, "timestep");
  check_features(pooled, "pooledProjection", config_.pooled_projection_dim);
  if (pooled.shape.size() != 2) {
    fail(ErrorCode::kShape, "pooledProjection must have shape [N, ", config_.pooled_projection_dim,
         "], but has ", ShowShape{pooled.shape});
  }
  std::vector<NamedRows> rows = {{"pooledProjection", pooled.shape[0]}};
  if (config_.guidance) {
    check_numbers(inputs.at(2).value(), "guidance");
    rows.push_back({"guidance", inputs[2]->shape[0]});
  }
  Plan plan;
  const int64_t all =
      rows_of_steps({"timestep", timestep.shape[0]}, std::move(rows), options.rows_per_step);
  plan.outputs = {{dtype(), {all, config_.embedding_dim}}};
  plan.input_dtypes = {DType::kFloat32, dtype(), DType::kFloat32};
  plan.run = [weights = weights(), time_proj = time_proj_, guided = config_.guidance,
              rows_per_step = options.rows_per_step,
              dtype = dtype()](Queue& queue, const Inputs& in, const Outputs& out) {
    const auto number = [&](size_t i, const char* embedder) {
      return EmbeddingTerm{run_sinusoids(queue, time_proj, *in[i], dtype, dtype),
                           weights->mlp(embedder)};
    };
    std::vector<EmbeddingTerm> terms;
    if (guided) terms.push_back(number(2, "guidance_embedder."));
    terms.push_back({as_dtype(queue, *in[1], dtype), weights->mlp("text_embedder.")});
    run_step_sum(queue, number(0, "timestep_embedder."), std::move(terms), rows_per_step, out[0]);
  };
  return plan;
}

}  // namespace latte
