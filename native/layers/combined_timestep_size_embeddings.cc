#include "layers/combined_timestep_size_embeddings.h"

#include <algorithm>

#include "layers/embedding_sum.h"

namespace latte {

namespace {

constexpr int64_t kProjectionChannels = 256;

/// The shape of one kind of size: numbers [rows, values]. The rows are repeated to fill the batch.
struct SizeInput {
  int64_t rows = 0;
  int64_t values = 0;
};

/// Checks the shape of `input` and returns it. Throws ERR_VALUE or ERR_SHAPE.
SizeInput check_size(const std::optional<TensorSpec>& input, const char* name, int64_t batch) {
  if (!input) {
    fail(ErrorCode::kValue, name, " is needed: the layer has useAdditionalConditions");
  }
  const Shape& shape = input->shape;
  if (shape.size() != 1 && shape.size() != 2) {
    fail(ErrorCode::kShape, name, " must have shape [b, n] or [b], but has ", ShowShape{shape});
  }
  const SizeInput size{shape[0], shape.size() == 2 ? shape[1] : 1};
  // The reference repeats b rows batch // b times, and then fails unless that fills the batch.
  const int64_t tiled = size.rows == 0       ? 0
                        : size.rows == batch ? batch
                                             : batch / size.rows * size.rows;
  if (tiled != batch) {
    fail(ErrorCode::kShape, "`batch_size` should be ", tiled, " but found ", batch, ". (", name,
         " has shape ", ShowShape{shape}, ")");
  }
  return size;
}

/// Rows begin … begin + count − 1 of a dense tensor [rows, features].
TensorView part_of_rows(const TensorView& of, int64_t begin, int64_t count) {
  const int64_t features = of.shape.back();
  return {{of.dtype, {count, features}}, part_of(of, begin * features, count * features).data};
}

/// Writes the values of `from`, repeated, to elements begin … begin + count − 1 of `numbers`.
void gather(Queue& queue, const TensorView& from, const TensorView& numbers, int64_t begin,
            int64_t count) {
  if (count == 0) return;
  queue.convert(from, part_of(numbers, begin, from.size()));
  repeat_elements(queue, part_of(numbers, begin, count), from.size());
}

}  // namespace

CombinedTimestepSizeEmbeddings::CombinedTimestepSizeEmbeddings(Device& device, DType dtype,
                                                               const CombinedConfig& config)
    : Layer(device, dtype), config_(config), time_proj_(device, TimestepsConfig{}) {
  timestep_config_.in_channels = kProjectionChannels;
  timestep_config_.time_embed_dim = config.embedding_dim;
  size_config_.in_channels = kProjectionChannels;
  size_config_.time_embed_dim = config.size_emb_dim;
}

std::vector<Parameter> CombinedTimestepSizeEmbeddings::parameters() const {
  auto parameters = timestep_embedding_parameters(timestep_config_, "timestep_embedder.");
  if (config_.use_additional_conditions) {
    for (const char* prefix : {"resolution_embedder.", "aspect_ratio_embedder."}) {
      for (Parameter& parameter : timestep_embedding_parameters(size_config_, prefix)) {
        parameters.push_back(std::move(parameter));
      }
    }
  }
  return parameters;
}

void CombinedTimestepSizeEmbeddings::load(const StateDict& state) {
  auto weights = std::make_shared<Weights>();
  weights->timestep =
      load_timestep_embedding(timestep_config_, device(), dtype(), state, "timestep_embedder.");
  if (config_.use_additional_conditions) {
    weights->resolution =
        load_timestep_embedding(size_config_, device(), dtype(), state, "resolution_embedder.");
    weights->aspect_ratio =
        load_timestep_embedding(size_config_, device(), dtype(), state, "aspect_ratio_embedder.");
  }
  weights_ = std::move(weights);
}

StateDict CombinedTimestepSizeEmbeddings::state() const {
  const auto& weights = loaded(weights_, "CombinedTimestepSizeEmbeddings");
  StateDict state;
  save_timestep_embedding(weights->timestep, "timestep_embedder.", state);
  if (config_.use_additional_conditions) {
    save_timestep_embedding(weights->resolution, "resolution_embedder.", state);
    save_timestep_embedding(weights->aspect_ratio, "aspect_ratio_embedder.", state);
  }
  return state;
}

Plan CombinedTimestepSizeEmbeddings::plan(const std::vector<std::optional<TensorSpec>>& inputs,
                                          const ForwardOptions& options) {
  const TensorSpec& timestep = inputs.at(0).value();
  if (timestep.shape.size() != 1) {
    fail(ErrorCode::kShape, "Timesteps should be a 1d-array, but timestep has shape ",
         ShowShape{timestep.shape});
  }
  const int64_t count = timestep.shape[0];
  const bool sized = config_.use_additional_conditions;
  const auto rows_of = [&](size_t i) {
    const auto& input = inputs.at(i);
    return sized && input && !input->shape.empty() ? input->shape[0] : 1;
  };
  // As in the references, batchSize applies to the sizes only. The rows of the timesteps broadcast
  // with those of the sizes.
  int64_t rows = count;
  SizeInput resolution, aspect_ratio;
  if (sized) {
    const int64_t batch = options.rows_per_step.value_or(options.batch_size.value_or(
        count == 1 ? std::max({int64_t{1}, rows_of(1), rows_of(2)}) : count));
    if (options.rows_per_step) {
      rows = rows_of_steps({"timestep", count}, {}, batch);
    } else if (count != batch && count != 1 && batch != 1) {
      fail(ErrorCode::kShape, "timestep must have 1 or batchSize = ", batch, " values, but has ",
           count);
    } else if (count == 1) {
      rows = batch;
    }
    resolution = check_size(inputs.at(1), "resolution", batch);
    aspect_ratio = check_size(inputs.at(2), "aspectRatio", batch);
    int64_t width = 0;
    const bool overflows = __builtin_mul_overflow(resolution.values + aspect_ratio.values,
                                                  config_.size_emb_dim, &width);
    if (overflows || width != config_.embedding_dim) {
      fail(ErrorCode::kShape, "the size embedding has ", resolution.values, " + ",
           aspect_ratio.values, " values of sizeEmbDim ", config_.size_emb_dim, " = ", width,
           " channels, but embeddingDim is ", config_.embedding_dim);
    }
  }

  const DType result = options.hidden_dtype.value_or(dtype());
  Plan plan;
  plan.outputs = {{result, {rows, config_.embedding_dim}}};
  plan.input_dtypes = {DType::kFloat32, DType::kFloat32, DType::kFloat32};
  plan.run = [weights = loaded(weights_, "CombinedTimestepSizeEmbeddings"), time_proj = time_proj_,
              config = config_, timestep_config = timestep_config_, size_config = size_config_,
              rows_per_step = sized ? options.rows_per_step : std::nullopt, resolution,
              aspect_ratio, count, rows, result,
              dtype = dtype()](Queue& queue, const Inputs& in, const Outputs& out) {
    if (result == dtype) {
      ConditionEmbeddingArgs all;
      all.timesteps = *in[0];
      all.linear_1 = weights->timestep.linear_1.get();
      all.linear_2 = weights->timestep.linear_2.get();
      const auto add = [&](const TensorView& numbers, const SizeInput& size, const Mlp& embedder) {
        if (size.values == 0) return;
        all.sizes.push_back(
            {numbers, size.values, embedder.linear_1.get(), embedder.linear_2.get()});
      };
      if (config.use_additional_conditions) {
        add(*in[1], resolution, weights->resolution);
        add(*in[2], aspect_ratio, weights->aspect_ratio);
      }
      all.sinusoids = &time_proj.sinusoids();
      all.activation = timestep_config.activation;
      all.output = out[0];
      if (queue.condition_embedding(all)) return;
    }
    // The timesteps and the numbers of both sizes go into one array, so that one operation projects
    // them all.
    const int64_t sized_rows = rows_per_step.value_or(rows);
    const int64_t resolutions = sized_rows * resolution.values;
    const int64_t ratios = sized_rows * aspect_ratio.values;
    const int64_t n = count + resolutions + ratios;
    const TensorView numbers = queue.scratch_tensor({DType::kFloat32, {n}});
    gather(queue, *in[0], numbers, 0, count);
    if (resolutions > 0) gather(queue, *in[1], numbers, count, resolutions);
    if (ratios > 0) gather(queue, *in[2], numbers, count + resolutions, ratios);
    // As in the reference, sinusoids are rounded to the hidden dtype, and then to the layer's.
    const TensorView sinusoids = queue.scratch_tensor({result, {n, kProjectionChannels}});
    time_proj.project(queue, numbers, sinusoids);
    const TensorView projected = as_dtype(queue, sinusoids, dtype);

    const int64_t dim = config.embedding_dim;
    TensorView sum{{dtype, {rows, dim}}, out[0].data};
    if (result != dtype) sum.data = queue.scratch(sum.bytes());
    // Value j of sample i is embedded into channels [j·s, (j+1)·s) of row i of `to`.
    const auto embed_size = [&](const TensorView& to, bool accumulate, int64_t first_number,
                                int64_t values, const Mlp& embedder, int64_t first_channel) {
      if (sized_rows * values == 0) return;
      LinearOutput output;
      output.data = part_of(to, first_channel, 0).data;
      output.inner_rows = values;
      output.outer_stride = dim;
      output.inner_stride = config.size_emb_dim;
      output.accumulate = accumulate;
      run_timestep_embedding(queue, size_config, embedder,
                             part_of_rows(projected, first_number, sized_rows * values), output);
    };
    const auto embed_sizes = [&](const TensorView& to, bool accumulate) {
      embed_size(to, accumulate, count, resolution.values, weights->resolution, 0);
      embed_size(to, accumulate, count + resolutions, aspect_ratio.values, weights->aspect_ratio,
                 resolution.values * config.size_emb_dim);
    };
    if (rows_per_step) {
      // The sizes fill all channels of a step's rows. Which of two terms comes first makes no
      // difference to the bits of their sum.
      run_steps(queue, {part_of_rows(projected, 0, count), weights->timestep}, sized_rows, sum,
                [&](const TensorView& step) { embed_sizes(step, false); });
    } else {
      run_timestep_embedding(queue, timestep_config, weights->timestep,
                             part_of_rows(projected, 0, std::min(count, rows)),
                             LinearOutput::dense(sum));
      // If one timestep serves all rows, its embedding is computed once and copied.
      if (count < rows) repeat_elements(queue, sum, dim);
      embed_sizes(sum, true);
    }
    if (result != dtype) queue.convert(sum, out[0]);
  };
  return plan;
}

}  // namespace latte
