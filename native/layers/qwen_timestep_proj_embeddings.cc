#include "layers/qwen_timestep_proj_embeddings.h"

#include <array>

#include "backend/registry.h"

namespace latte {

namespace {

constexpr const char* kAdditions = "addition_t_embedding.weight";

TimestepsConfig scaled() {
  TimestepsConfig config;
  config.scale = 1000;
  return config;
}

Parts parts_of(const QwenTimestepProjConfig& config) {
  const int64_t dim = config.embedding_dim;
  Parts parts;
  parts.add_mlp("timestep_embedder.", kSinusoidChannels, dim, dim);
  if (config.use_additional_t_cond) parts.tables.push_back({kAdditions, {2, dim}});
  return parts;
}

}  // namespace

QwenTimestepProjEmbeddings::QwenTimestepProjEmbeddings(Device& device, DType dtype,
                                                       const QwenTimestepProjConfig& config)
    : ComposedLayer("QwenTimestepProjEmbeddings", device, dtype, parts_of(config)),
      config_(config),
      time_proj_(device, scaled()) {}

/// The choice of a row of the table, as two linears, because the device interface has no gather.
/// The first linear turns a condition c into the weights [1 − c, c]; the second multiplies these by
/// the two rows. With c = 0 or 1 the result is exact.
void QwenTimestepProjEmbeddings::prepare(LoadedParts& loaded) const {
  if (!config_.use_additional_t_cond) return;
  std::array<float, 2> slopes = {-1, 1}, offsets = {1, 0};
  const TensorView slope{{DType::kFloat32, {2, 1}}, slopes.data()};
  const TensorView offset{{DType::kFloat32, {2}}, offsets.data()};
  loaded.linears["row_weights"] = device().prepare_linear(slope, &offset, dtype());
  const std::vector<float> rows = as_floats(loaded.tables.at(kAdditions));
  const int64_t dim = config_.embedding_dim;
  std::vector<float> columns(rows.size());
  for (int64_t i = 0; i < dim; ++i) {
    for (int64_t row = 0; row < 2; ++row) columns[2 * i + row] = rows[row * dim + i];
  }
  const TensorView transposed{{DType::kFloat32, {dim, 2}}, columns.data()};
  loaded.linears["rows"] = device().prepare_linear(transposed, nullptr, dtype());
}

Plan QwenTimestepProjEmbeddings::plan(const std::vector<std::optional<TensorSpec>>& inputs,
                                      const ForwardOptions& options) {
  const TensorSpec& timestep = inputs.at(0).value();
  check_numbers(timestep, "timestep");
  const bool added = config_.use_additional_t_cond;
  const auto rows_per_step = added ? options.rows_per_step : std::nullopt;
  const int64_t rows = rows_of_steps({"timestep", timestep.shape[0]}, {}, rows_per_step);
  const Shape conditions = {rows_per_step.value_or(rows)};
  if (added && inputs.at(1).value().shape != conditions) {
    fail(ErrorCode::kShape, "additionTCond must have shape ", ShowShape{conditions},
         rows_per_step ? ", that of a step" : ", as timestep has", ", but has ",
         ShowShape{inputs[1]->shape});
  }
  const DType hidden = options.hidden_dtype.value_or(dtype());
  Plan plan;
  plan.outputs = {{hidden, {rows, config_.embedding_dim}}};
  plan.input_dtypes = {DType::kFloat32, dtype()};
  plan.run = [weights = weights(), time_proj = time_proj_, added, rows_per_step, hidden,
              dtype = dtype()](Queue& queue, const Inputs& in, const Outputs& out) {
    const auto choose_rows = [&](const TensorView& sum, bool accumulate) {
      LinearArgs first, second;
      first.input = as_dtype(queue, *in[1], dtype);
      const int64_t rows = first.input.shape[0];
      first.input.shape = {rows, 1};
      first.weights = weights->linear("row_weights");
      second.weights = weights->linear("rows");
      second.output = LinearOutput::dense(sum);
      second.output.accumulate = accumulate;
      run_linears(queue, first, second);
    };
    run_converted(queue, dtype, out[0], [&](const TensorView& sum) {
      const EmbeddingTerm time{run_sinusoids(queue, time_proj, *in[0], hidden, dtype),
                               weights->mlp("timestep_embedder.")};
      if (rows_per_step) {
        run_steps(queue, time, *rows_per_step, sum,
                  [&](const TensorView& step) { choose_rows(step, false); });
        return;
      }
      run_embedding_sum(queue, {time}, sum);
      if (added) choose_rows(sum, true);
    });
  };
  return plan;
}

}  // namespace latte
