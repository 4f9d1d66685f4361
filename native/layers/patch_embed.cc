#include "layers/patch_embed.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "backend/registry.h"
#include "layers/latent.h"
#include "layers/parts.h"

namespace latte {

namespace {

/// The shape of a + b by numpy's rules; throws ERR_SHAPE if the shapes do not broadcast.
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

/// The whole table of a grid: the middle rows and columns of a stored table [1, side², dim].
PositionTable crop_of(const std::vector<float>& table, int64_t side, int64_t dim, Grid grid) {
  const int64_t top = (side - grid.height) / 2, left = (side - grid.width) / 2;
  PositionTable crop;
  crop.dim = dim;
  crop.whole_rows = grid.height * grid.width;
  for (int64_t y = 0; y < grid.height; ++y) {
    const auto row = table.begin() + ((top + y) * side + left) * dim;
    crop.whole.insert(crop.whole.end(), row, row + grid.width * dim);
  }
  return crop;
}

}  // namespace

PatchEmbed::PatchEmbed(Device& device, DType dtype, const PatchEmbedConfig& config)
    : Layer(device, dtype), config_(config) {
  positions_.configured = {config.height / config.patch_size, config.width / config.patch_size};
  positions_.dim = config.embed_dim;
  positions_.interpolation_scale = config.interpolation_scale;
  if (config.positions && positions_.configured.height == 0) {
    fail(ErrorCode::kValue, "height must be at least patchSize = ", config.patch_size,
         " (it is the position table's base size), but is ", config.height);
  }
}

std::vector<Parameter> PatchEmbed::parameters() const {
  const int64_t p = config_.patch_size;
  std::vector<Parameter> parameters = {
      {"proj.weight", {config_.embed_dim, config_.in_channels, p, p}}};
  if (config_.bias) parameters.push_back({"proj.bias", {config_.embed_dim}});
  if (config_.positions) {
    parameters.push_back({"pos_embed", stored_shape(), config_.pos_embed_max_size > 0});
  }
  return parameters;
}

Shape PatchEmbed::stored_shape() const {
  const int64_t side = config_.pos_embed_max_size;
  const int64_t rows = side > 0 ? side * side : positions_.reference_rows(positions_.configured);
  return {1, rows, config_.embed_dim};
}

void PatchEmbed::load(const StateDict& state) {
  auto weights = std::make_shared<Weights>();
  weights->projection = load_linear(device(), dtype(), state, "proj");
  const auto stored = state.find("pos_embed");
  if (stored != state.end()) {
    // A table that is cropped is a parameter, which is kept in the layer's dtype. A table that is
    // not cropped keeps its own dtype.
    const bool cropped = config_.pos_embed_max_size > 0;
    weights->stored_positions = host_copy(stored->second, cropped ? dtype() : stored->second.dtype);
    PositionTable table;
    table.dim = config_.embed_dim;
    table.whole_rows = stored->second.shape[1];
    table.whole = as_floats(weights->stored_positions);
    if (cropped) {
      weights->crops = std::make_shared<PositionsCache>();
      weights->crop = [whole = std::make_shared<const std::vector<float>>(std::move(table.whole)),
                       side = config_.pos_embed_max_size, dim = config_.embed_dim](Grid grid) {
        return crop_of(*whole, side, dim, grid);
      };
    } else {
      weights->positions = device().prepare_positions(std::move(table));
    }
  }
  weights_ = std::move(weights);
}

StateDict PatchEmbed::state() const {
  const auto& weights = loaded(weights_, "PatchEmbed");
  StateDict state;
  const int64_t p = config_.patch_size;
  save_linear(*weights->projection, "proj", {config_.embed_dim, config_.in_channels, p, p}, state);
  if (weights->stored_positions.buffer != nullptr) {
    // A copy, so that writes of the caller do not change the layer.
    const Tensor& stored = weights->stored_positions;
    state["pos_embed"] = host_copy(stored, stored.dtype);
  }
  return state;
}

Plan PatchEmbed::plan(const std::vector<std::optional<TensorSpec>>& inputs, const ForwardOptions&) {
  const LatentView view =
      latent_view(inputs.at(0).value(), Frames::kOptional, config_.in_channels, dtype());
  const int64_t p = config_.patch_size;
  const Grid grid{view.height / p, view.width / p};
  if (grid.height == 0 || grid.width == 0) {
    fail(ErrorCode::kShape, "latent must hold at least one patch of ", p, " x ", p,
         ", but has shape ", ShowShape{inputs[0]->shape});
  }
  const auto& weights = loaded(weights_, "PatchEmbed");
  check_crop(grid);
  if (!config_.flatten) return plan_unflattened(view, grid);

  Plan plan;
  plan.outputs = {
      {dtype(), {view.outer * view.inner, grid.height * grid.width, config_.embed_dim}}};
  plan.input_dtypes = {dtype()};
  if (view.outer * view.inner == 0) {
    plan.run = [](Queue&, const Inputs&, const Outputs&) {};
    return plan;
  }
  const bool stored = config_.pos_embed_max_size == 0 && weights->positions &&
                      grid == positions_.configured && positions_.reference_fits(grid);
  plan.run = [weights, computed = stored ? nullptr : positions_for(grid), view, config = config_,
              &device = device()](Queue& queue, const Inputs& in, const Outputs& out) {
    PatchProjectionArgs args;
    args.latent = view;
    args.latent.data = as_dtype(queue, *in[0], view.dtype).data;
    args.patch = {1, config.patch_size, config.patch_size};
    args.weights = weights->projection.get();
    if (config.positions) {
      args.positions = computed ? computed->get(device) : weights->positions.get();
    }
    args.layer_norm = config.layer_norm;
    args.output = out[0];
    queue.patch_projection(args);
  };
  return plan;
}

/// Throws ERR_SHAPE if the grid has more rows or columns than a table that is cropped.
void PatchEmbed::check_crop(Grid grid) const {
  const int64_t side = config_.pos_embed_max_size;
  const auto check = [&](const char* axis, int64_t length) {
    if (side == 0 || length <= side) return;
    fail(ErrorCode::kShape, axis, " (", length,
         ") cannot be greater than `pos_embed_max_size`: ", side, ".");
  };
  check("Height", grid.height);
  check("Width", grid.width);
}

/// The positions of a grid for which there is no stored table, or of which it is cropped; null if
/// the layer adds none.
std::shared_ptr<LazyPositions> PatchEmbed::positions_for(Grid grid) {
  if (!config_.positions) return nullptr;
  if (weights_->crop) return weights_->crops->get(weights_->crop, config_.embed_dim, grid);
  return tables_.get([positions = positions_](Grid of) { return positions.table(of); },
                     config_.embed_dim, grid);
}

/// With flatten = false the reference adds a table [1, N, D] to [B, D, h, w]. That is possible only
/// if these shapes broadcast.
Plan PatchEmbed::plan_unflattened(const LatentView& view, Grid grid) {
  const TensorSpec projected{dtype(),
                             {view.outer * view.inner, config_.embed_dim, grid.height, grid.width}};
  const bool cropped = config_.pos_embed_max_size > 0;
  const int64_t rows = cropped ? grid.height * grid.width : positions_.reference_rows(grid);
  const TensorSpec positions{DType::kFloat32, {1, rows, config_.embed_dim}};
  if (config_.layer_norm && grid.width != config_.embed_dim) {
    fail(ErrorCode::kShape,
         "with flatten = false the layer norm runs over the last axis, which "
         "must be embedDim = ",
         config_.embed_dim, " long, but the result has shape ", ShowShape{projected.shape});
  }
  const TensorSpec sum{
      dtype(), config_.positions ? broadcast(projected.shape, positions.shape) : projected.shape};

  Plan plan;
  plan.outputs = {sum};
  plan.input_dtypes = {dtype()};
  plan.run = [weights = weights_, choice = positions_, grid, projected, positions, view,
              config = config_,
              &device = device()](Queue& queue, const Inputs& in, const Outputs& out) {
    const TensorView result = config.positions ? queue.scratch_tensor(projected) : out[0];
    PatchProjectionArgs args;
    args.latent = view;
    args.latent.data = as_dtype(queue, *in[0], view.dtype).data;
    args.patch = {1, config.patch_size, config.patch_size};
    args.weights = weights->projection.get();
    args.channels_first = true;
    args.output = result;
    queue.patch_projection(args);
    if (config.layer_norm) queue.layer_norm({.x = result});
    if (!config.positions) return;
    const bool stored = weights->positions && grid == choice.configured;
    std::vector<float> table = weights->crop ? weights->crop(grid).whole
                               : stored      ? as_floats(weights->stored_positions)
                                             : choice.reference_table(grid);
    const TensorView addend = queue.scratch_tensor(positions);
    device.copy_in(addend.data, table.data(), positions.bytes());
    queue.add(result, addend, out[0]);
  };
  return plan;
}

}  // namespace latte
