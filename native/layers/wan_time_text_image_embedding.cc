#include "layers/wan_time_text_image_embedding.h"

namespace latte {

namespace {

constexpr double kNormEpsilon = 1e-5;
constexpr const char* kPositions = "image_embedder.pos_embed";

Parts parts_of(const WanTimeTextImageConfig& config) {
  const int64_t dim = config.dim, image = config.image_embed_dim;
  Parts parts;
  parts.add_mlp("time_embedder.", config.time_freq_dim, dim, dim, /*keeps_float32=*/true);
  parts.linears.push_back({"time_proj.", dim, config.time_proj_dim});
  parts.add_mlp("text_embedder.", config.text_embed_dim, dim, dim);
  if (image == 0) return parts;
  parts.linears.push_back({"image_embedder.ff.net.0.proj.", image, image});
  parts.linears.push_back({"image_embedder.ff.net.2.", image, dim});
  for (const auto& [norm, features] :
       {std::pair("image_embedder.norm1.", image), std::pair("image_embedder.norm2.", dim)}) {
    for (const char* name : {"weight", "bias"}) {
      parts.tables.push_back({std::string(norm) + name, {features}, /*keeps_float32=*/true});
    }
  }
  if (config.pos_embed_seq_len > 0) {
    parts.tables.push_back({kPositions, {1, config.pos_embed_seq_len, image}});
  }
  return parts;
}

TimestepsConfig sinusoids_of(int64_t channels) {
  TimestepsConfig config;
  config.num_channels = channels;
  return config;
}

void run_norm(Queue& queue, const WanWeights& weights, const std::string& name,
              const TensorView& x) {
  LayerNormArgs args;
  args.x = x;
  args.weight = weights.floats.at(name + "weight");
  args.bias = weights.floats.at(name + "bias");
  args.epsilon = kNormEpsilon;
  queue.layer_norm(args);
}

/// Queues the image's embedding: positions → norm1 → linear → GELU (erf form) → linear → norm2.
void run_image(Queue& queue, const WanWeights& weights, const TensorView& image, DType dtype,
               const TensorView& output) {
  // A copy, because the norm works in place and the image's memory is the caller's.
  const TensorView x = queue.scratch_tensor({dtype, image.shape});
  queue.convert(image, x);
  const auto positions = weights.floats.find(kPositions);
  if (positions != weights.floats.end()) queue.add(x, positions->second, x);
  run_norm(queue, weights, "image_embedder.norm1.", x);
  const Mlp feed_forward = {weights.linears.at("image_embedder.ff.net.0.proj."),
                            weights.linears.at("image_embedder.ff.net.2.")};
  run_mlp(queue, feed_forward, Activation::kGelu, x, LinearOutput::dense(output));
  run_norm(queue, weights, "image_embedder.norm2.", output);
}

}  // namespace

WanTimeTextImageEmbedding::WanTimeTextImageEmbedding(Device& device, DType dtype,
                                                     const WanTimeTextImageConfig& config)
    : ComposedLayer("WanTimeTextImageEmbedding", device, dtype, parts_of(config)),
      config_(config),
      time_proj_(device, sinusoids_of(config.time_freq_dim)) {}

void WanTimeTextImageEmbedding::prepare(WanWeights& loaded) const {
  for (const auto& [name, table] : loaded.tables) loaded.floats[name] = floats_on(device(), table);
}

/// The shape of the image's states after pairs of images were joined.
Shape WanTimeTextImageEmbedding::image_shape(const TensorSpec& image) const {
  if (config_.image_embed_dim == 0) {
    fail(ErrorCode::kValue,
         "encoderHiddenStatesImage was given, but the layer has no imageEmbedDim");
  }
  check_features(image, "encoderHiddenStatesImage", config_.image_embed_dim);
  if (image.shape.size() != 3) {
    fail(ErrorCode::kShape, "encoderHiddenStatesImage must have shape [b, s, ",
         config_.image_embed_dim, "], but has ", ShowShape{image.shape});
  }
  const int64_t length = config_.pos_embed_seq_len;
  if (length == 0) return image.shape;
  if (image.shape[0] % 2 != 0 || 2 * image.shape[1] != length) {
    fail(ErrorCode::kShape,
         "encoderHiddenStatesImage must be pairs of images with posEmbedSeqLen = ", length,
         " states a pair, but has shape ", ShowShape{image.shape});
  }
  return {image.shape[0] / 2, length, image.shape[2]};
}

Plan WanTimeTextImageEmbedding::plan(const std::vector<std::optional<TensorSpec>>& inputs,
                                     const ForwardOptions& options) {
  const TensorSpec &timestep = inputs.at(0).value(), &text = inputs.at(1).value();
  check_numbers(timestep, "timestep");
  check_features(text, "encoderHiddenStates", config_.text_embed_dim);
  Shape rows = timestep.shape;
  if (options.timestep_seq_len) {
    const int64_t length = *options.timestep_seq_len;
    if (length < 1 || rows[0] % length != 0) {
      fail(ErrorCode::kShape, "timestep must have a multiple of timestepSeqLen = ", length,
           " values, but has ", rows[0]);
    }
    rows = {rows[0] / length, length};
  }
  const auto with_axis = [](Shape shape, int64_t features) {
    shape.push_back(features);
    return shape;
  };
  Plan plan;
  plan.outputs = {{dtype(), with_axis(rows, config_.dim)},
                  {dtype(), with_axis(rows, config_.time_proj_dim)},
                  {dtype(), with_features(text.shape, config_.dim)}};
  plan.input_dtypes = {DType::kFloat32, dtype(), dtype()};
  Shape joined;
  if (inputs.at(2)) {
    joined = image_shape(*inputs[2]);
    plan.outputs.push_back({dtype(), with_features(joined, config_.dim)});
  }
  plan.run = [weights = weights(), time_proj = time_proj_, joined, dtype = dtype()](
                 Queue& queue, const Inputs& in, const Outputs& out) {
    // In a layer of a half type the time embedder may have kept float32: then its result is rounded
    // at the end.
    const Mlp time = weights->mlp("time_embedder.");
    const DType time_dtype = time.linear_1->dtype;
    run_converted(queue, time_dtype, out[0], [&](const TensorView& embedded) {
      run_timestep_embedding(queue, {}, time,
                             run_sinusoids(queue, time_proj, *in[0], time_dtype, time_dtype),
                             LinearOutput::dense(embedded));
    });
    run_modulation(queue, *weights->linear("time_proj."), as_rows(out[0]), as_rows(out[1]));
    run_mlp(queue, weights->mlp("text_embedder."), Activation::kGeluTanh,
            as_dtype(queue, *in[1], dtype), LinearOutput::dense(out[2]));
    if (!in[2]) return;
    TensorView image = *in[2];
    image.shape = joined;
    run_image(queue, *weights, image, dtype, out[3]);
  };
  return plan;
}

}  // namespace latte
