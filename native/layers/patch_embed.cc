#include "layers/patch_embed.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/position_table.h"

namespace latte {

namespace {

constexpr size_t kPreparedTables = 8;

int64_t floor_sqrt(int64_t n) {
  auto root = static_cast<int64_t>(std::sqrt(static_cast<double>(n)));
  while (root * root > n) --root;
  while ((root + 1) * (root + 1) <= n) ++root;
  return root;
}

/// A host tensor's values as float32.
std::vector<float> as_floats(const TensorView& tensor) {
  std::vector<float> floats(static_cast<size_t>(tensor.size()));
  for (size_t i = 0; i < floats.size(); ++i) {
    switch (tensor.dtype) {
      case DType::kFloat16:
        floats[i] = half_to_float(static_cast<const uint16_t*>(tensor.data)[i]);
        break;
      case DType::kBFloat16:
        floats[i] = bfloat_to_float(static_cast<const uint16_t*>(tensor.data)[i]);
        break;
      case DType::kFloat64:
        floats[i] = static_cast<float>(static_cast<const double*>(tensor.data)[i]);
        break;
      default:
        floats[i] = static_cast<const float*>(tensor.data)[i];
    }
  }
  return floats;
}

/// The shape of a + b in numpy's rules; throws where there is none.
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
    : Layer(device, dtype),
      config_(config),
      configured_{config.height / config.patch_size, config.width / config.patch_size} {
  if (configured_.height == 0) {
    fail(ErrorCode::kValue, "height must be at least patchSize = ", config.patch_size,
         " (it is the position table's base size), but is ", config.height);
  }
  stored_side_ = floor_sqrt(configured_.height * configured_.width);
}

std::vector<Parameter> PatchEmbed::parameters() const {
  const int64_t p = config_.patch_size;
  std::vector<Parameter> parameters = {
      {"proj.weight", {config_.embed_dim, config_.in_channels, p, p}}};
  if (config_.bias) parameters.push_back({"proj.bias", {config_.embed_dim}});
  parameters.push_back({"pos_embed", {1, stored_rows(), config_.embed_dim}, false});
  return parameters;
}

void PatchEmbed::load(const StateDict& state) {
  auto weights = std::make_shared<Weights>();
  weights->projection = load_linear(device(), dtype(), state, "proj");
  const auto positions = state.find("pos_embed");
  if (positions != state.end()) {
    const Tensor& source = positions->second;
    Tensor& kept = weights->loaded_positions;
    kept = source;
    kept.buffer = device().allocate(source.bytes());
    kept.data = kept.buffer->data();
    if (source.bytes() > 0) std::memcpy(kept.data, source.data, source.bytes());
    HostPositionTable table;
    table.dim = config_.embed_dim;
    table.whole_rows = source.shape[1];
    table.whole = as_floats(source);
    weights->positions = device().prepare_positions(std::move(table));
  }
  weights_ = std::move(weights);
  prepared_.clear();
}

StateDict PatchEmbed::state() const {
  const auto& weights = loaded(weights_, "PatchEmbed");
  StateDict state;
  const int64_t p = config_.patch_size;
  save_linear(*weights->projection, "proj", {config_.embed_dim, config_.in_channels, p, p}, state);
  if (weights->positions) state["pos_embed"] = weights->loaded_positions;
  return state;
}

/// Whether a table of so many rows can be added to the configured tokens, by broadcasting if need
/// be.
bool PatchEmbed::fits_configured(int64_t rows) const {
  return rows == configured_.height * configured_.width || rows == 1;
}

HostPositionTable PatchEmbed::computed(Grid grid) const {
  auto table = grid_table<float>(grid.height, grid.width, config_.embed_dim, configured_.height,
                                 config_.interpolation_scale);
  HostPositionTable host;
  host.dim = config_.embed_dim;
  host.height = grid.height;
  host.width = grid.width;
  host.columns = std::move(table.columns);
  host.rows = std::move(table.rows);
  return host;
}

HostPositionTable PatchEmbed::stored() const {
  if (configured_.height == configured_.width) return computed(configured_);
  // A square table under a grid that is not: its rows no longer follow the grid's.
  HostPositionTable host;
  host.dim = config_.embed_dim;
  host.whole_rows = stored_rows();
  host.whole.resize(static_cast<size_t>(host.whole_rows * host.dim));
  grid_table<float>(stored_side_, stored_side_, config_.embed_dim, configured_.height,
                    config_.interpolation_scale)
      .expand(host.whole.data());
  return host;
}

PatchEmbed::Positions PatchEmbed::positions_for(Grid grid) {
  const bool configured = is_configured(grid);
  if (configured && weights_->positions && fits_configured(stored_rows())) {
    return weights_->positions;
  }
  for (const Prepared& entry : prepared_) {
    if (entry.grid == grid) return entry.positions;
  }
  // Upstream uses the stored table at the configured size; where it does not fit, upstream can only
  // fail, and the table of the grid itself is used.
  auto positions = device().prepare_positions(
      configured && fits_configured(stored_rows()) ? stored() : computed(grid));
  if (prepared_.size() == kPreparedTables) prepared_.erase(prepared_.begin());
  prepared_.push_back({grid, positions});
  return positions;
}

HostPositionTable PatchEmbed::whole_positions(Grid grid) const {
  HostPositionTable host;
  host.dim = config_.embed_dim;
  const bool configured = is_configured(grid);
  if (configured && weights_->positions) {
    host.whole = as_floats(weights_->loaded_positions);
    host.whole_rows = stored_rows();
    return host;
  }
  const Grid of = configured ? Grid{stored_side_, stored_side_} : grid;
  host.whole_rows = of.height * of.width;
  host.whole.resize(static_cast<size_t>(host.whole_rows * host.dim));
  grid_table<float>(of.height, of.width, config_.embed_dim, configured_.height,
                    config_.interpolation_scale)
      .expand(host.whole.data());
  return host;
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
  plan.run = [weights, positions = positions_for(grid), view, config = config_](
                 Queue& queue, const Inputs& in, const Outputs& out) {
    PatchProjectionArgs args;
    args.latent = view;
    args.latent.data = as_dtype(queue, *in[0], view.dtype);
    args.patch_size = config.patch_size;
    args.weights = weights->projection.get();
    args.positions = positions.get();
    args.layer_norm = config.layer_norm;
    args.output = out[0].data;
    queue.patch_projection(args);
  };
  return plan;
}

/// [B, D, h, w] plus a table [1, N, D]: legal only where broadcasting happens to allow it.
Plan PatchEmbed::plan_unflattened(const LatentView& view, Grid grid) {
  const TensorSpec projected{dtype(),
                             {view.outer * view.inner, config_.embed_dim, grid.height, grid.width}};
  HostPositionTable table = whole_positions(grid);
  const TensorSpec positions{DType::kFloat32, {1, table.whole_rows, config_.embed_dim}};
  if (config_.layer_norm && grid.width != config_.embed_dim) {
    fail(ErrorCode::kShape,
         "with flatten = false the layer norm runs over the last axis, which "
         "must be embedDim = ",
         config_.embed_dim, " long, but the result has shape ", ShowShape{projected.shape});
  }
  const TensorSpec sum{dtype(), broadcast(projected.shape, positions.shape)};

  Plan plan;
  plan.outputs = {sum};
  plan.run = [weights = weights_, table = std::move(table), projected, positions, view,
              config = config_](Queue& queue, const Inputs& in, const Outputs& out) {
    TensorView result{projected, queue.scratch(projected.bytes())};
    PatchProjectionArgs args;
    args.latent = view;
    args.latent.data = as_dtype(queue, *in[0], view.dtype);
    args.patch_size = config.patch_size;
    args.weights = weights->projection.get();
    args.channels_first = true;
    args.output = result.data;
    queue.patch_projection(args);
    if (config.layer_norm) queue.layer_norm(result, args.epsilon);
    TensorView addend{positions, const_cast<float*>(table.whole.data())};
    queue.add(result, addend, out[0]);
  };
  return plan;
}

}  // namespace latte
