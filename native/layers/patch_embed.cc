#include "layers/patch_embed.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "backend/registry.h"

namespace latte {

namespace {

/// A host tensor's values as float32.
std::vector<float> as_floats(const TensorView& tensor) {
  std::vector<float> floats(static_cast<size_t>(tensor.size()));
  const TensorView to{{DType::kFloat32, tensor.shape}, floats.data()};
  run_and_wait(open_device("cpu"), [&](Queue& queue) { queue.convert(tensor, to); });
  return floats;
}

/// The shape of a + b in numpy's rules; throws ERR_SHAPE if they do not broadcast.
Shape broadcast(const Shape& a, const Shape& b) {
  Shape out(std::max(a.size(), b.size()));
  for (size_t i = 0; i < out.size(); ++i) {
    const int64_t x = i < a.size() ? a[a.size() - 1 - i] : 1;
    const int64_t y = i < b.size() ? b[b.size() - 1 - i] : 1;
    if (x != y && x != 1 && y != 1) {
      fail(ErrorCode::kShape, "with flatten = false a result of shape ", ShowShape{a},
           " cannot be added to the position table of shape ", ShowShape{b});
    }
    out[out.size() - 1 - i] = x == 1 ? y : x;
  }
  return out;
}

}  // namespace

PatchEmbed::PatchEmbed(Device& device, DType dtype, const PatchEmbedConfig& config)
    : Layer(device, dtype), config_(config) {
  positions_.configured = {config.height / config.patch_size, config.width / config.patch_size};
  positions_.dim = config.embed_dim;
  positions_.interpolation_scale = config.interpolation_scale;
  if (positions_.configured.height == 0) {
    fail(ErrorCode::kValue, "height must be at least patchSize = ", config.patch_size,
         " (it is the position table's base size), but is ", config.height);
  }
}

std::vector<Parameter> PatchEmbed::parameters() const {
  const int64_t p = config_.patch_size;
  const int64_t rows = positions_.reference_rows(positions_.configured);
  std::vector<Parameter> parameters = {
      {"proj.weight", {config_.embed_dim, config_.in_channels, p, p}}};
  if (config_.bias) parameters.push_back({"proj.bias", {config_.embed_dim}});
  parameters.push_back({"pos_embed", {1, rows, config_.embed_dim}, false});
  return parameters;
}

void PatchEmbed::load(const StateDict& state) {
  auto weights = std::make_shared<Weights>();
  weights->projection = load_linear(device(), dtype(), state, "proj");
  const auto stored = state.find("pos_embed");
  if (stored != state.end()) {
    const Tensor& source = stored->second;
    weights->stored_positions = allocate_on_host(source);
    if (source.bytes() > 0) {
      std::memcpy(weights->stored_positions.data, source.data, source.bytes());
    }
    PositionTable table;
    table.dim = config_.embed_dim;
    table.whole_rows = source.shape[1];
    table.whole = as_floats(source);
    weights->positions = device().prepare_positions(std::move(table));
  }
  weights_ = std::move(weights);
}

StateDict PatchEmbed::state() const {
  const auto& weights = loaded(weights_, "PatchEmbed");
  StateDict state;
  const int64_t p = config_.patch_size;
  save_linear(*weights->projection, "proj", {config_.embed_dim, config_.in_channels, p, p}, state);
  if (weights->positions) {
    // A copy: what the caller writes into it must not reach the layer.
    const Tensor& stored = weights->stored_positions;
    Tensor copy = allocate_on_host(stored);
    if (stored.bytes() > 0) std::memcpy(copy.data, stored.data, stored.bytes());
    state["pos_embed"] = std::move(copy);
  }
  return state;
}

Plan PatchEmbed::plan(const std::vector<std::optional<TensorSpec>>& inputs, const ForwardOptions&) {
  const TensorSpec& latent = inputs.at(0).value();
  const Shape& shape = latent.shape;
  const bool video = shape.size() == 5;
  if (shape.size() != 4 && !video) {
    fail(ErrorCode::kShape, "latent must have shape [B, ", config_.in_channels, ", H, W], but has ",
         ShowShape{shape});
  }
  if (!is_floating(latent.dtype)) {
    fail(ErrorCode::kDType, "latent must have a floating dtype, but is ", dtype_name(latent.dtype));
  }
  LatentView view;
  view.dtype = dtype();
  view.outer = shape[0];
  view.channels = shape[1];
  view.inner = video ? shape[2] : 1;
  view.height = shape[shape.size() - 2];
  view.width = shape[shape.size() - 1];
  view.inner_stride = view.height * view.width;
  view.channel_stride = view.inner * view.inner_stride;
  view.outer_stride = view.channels * view.channel_stride;
  if (view.channels != config_.in_channels) {
    fail(ErrorCode::kShape, "latent must have ", config_.in_channels, " channels, but has shape ",
         ShowShape{shape});
  }
  const int64_t p = config_.patch_size;
  const Grid grid{view.height / p, view.width / p};
  if (grid.height == 0 || grid.width == 0) {
    fail(ErrorCode::kShape, "latent must hold at least one patch of ", p, " x ", p,
         ", but has shape ", ShowShape{shape});
  }
  const auto& weights = loaded(weights_, "PatchEmbed");
  if (!config_.flatten) return plan_unflattened(view, grid);

  Plan plan;
  plan.outputs = {
      {dtype(), {view.outer * view.inner, grid.height * grid.width, config_.embed_dim}}};
  plan.input_dtypes = {dtype()};
  if (view.outer * view.inner == 0) {
    plan.run = [](Queue&, const Inputs&, const Outputs&) {};
    return plan;
  }
  const bool stored =
      weights->positions && grid == positions_.configured && positions_.reference_fits(grid);
  plan.run = [weights, computed = stored ? nullptr : tables_.get(positions_, grid), view,
              config = config_,
              &device = device()](Queue& queue, const Inputs& in, const Outputs& out) {
    PatchProjectionArgs args;
    args.latent = view;
    args.latent.data = as_dtype(queue, *in[0], view.dtype).data;
    args.patch = {1, config.patch_size, config.patch_size};
    args.weights = weights->projection.get();
    args.positions = computed ? computed->get(device) : weights->positions.get();
    args.layer_norm = config.layer_norm;
    args.output = out[0];
    queue.patch_projection(args);
  };
  return plan;
}

/// [B, D, h, w] plus a table [1, N, D]: legal only if their shapes broadcast.
Plan PatchEmbed::plan_unflattened(const LatentView& view, Grid grid) {
  const TensorSpec projected{dtype(),
                             {view.outer * view.inner, config_.embed_dim, grid.height, grid.width}};
  const TensorSpec positions{DType::kFloat32,
                             {1, positions_.reference_rows(grid), config_.embed_dim}};
  if (config_.layer_norm && grid.width != config_.embed_dim) {
    fail(ErrorCode::kShape,
         "with flatten = false the layer norm runs over the last axis, which "
         "must be embedDim = ",
         config_.embed_dim, " long, but the result has shape ", ShowShape{projected.shape});
  }
  const TensorSpec sum{dtype(), broadcast(projected.shape, positions.shape)};

  Plan plan;
  plan.outputs = {sum};
  plan.input_dtypes = {dtype()};
  plan.run = [weights = weights_, choice = positions_, grid, projected, positions, view,
              config = config_,
              &device = device()](Queue& queue, const Inputs& in, const Outputs& out) {
    const TensorView result = queue.scratch_tensor(projected);
    PatchProjectionArgs args;
    args.latent = view;
    args.latent.data = as_dtype(queue, *in[0], view.dtype).data;
    args.patch = {1, config.patch_size, config.patch_size};
    args.weights = weights->projection.get();
    args.channels_first = true;
    args.output = result;
    queue.patch_projection(args);
    if (config.layer_norm) queue.layer_norm({.x = result});
    const bool stored = weights->positions && grid == choice.configured;
    std::vector<float> table =
        stored ? as_floats(weights->stored_positions) : choice.reference_table(grid);
    const TensorView addend = queue.scratch_tensor(positions);
    device.copy_in(addend.data, table.data(), positions.bytes());
    queue.add(result, addend, out[0]);
  };
  return plan;
}

}  // namespace latte
