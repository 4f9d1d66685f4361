#include "layers/patch_positions.h"

#include <cmath>
#include <utility>

#include "core/byte_count.h"
#include "core/position_table.h"

namespace latte {

namespace {

constexpr size_t kKeptTables = 8;
constexpr int64_t kKeptBytes = int64_t{16} << 20;  // of one table

SeparableTable<float> separable(const PatchPositionsConfig& config, Grid grid) {
  return grid_table<float>(grid.height, grid.width, config.dim, config.configured.height,
                           config.interpolation_scale);
}

}  // namespace

int64_t PatchPositionsConfig::stored_side() const {
  const int64_t tokens = configured.height * configured.width;
  auto root = static_cast<int64_t>(std::sqrt(static_cast<double>(tokens)));
  while (root * root > tokens) --root;
  while ((root + 1) * (root + 1) <= tokens) ++root;
  return root;
}

int64_t PatchPositionsConfig::upstream_rows(Grid grid) const {
  const int64_t side = stored_side();
  return grid == configured ? side * side : grid.height * grid.width;
}

bool PatchPositionsConfig::upstream_fits(Grid grid) const {
  const int64_t rows = upstream_rows(grid);
  return rows == grid.height * grid.width || rows == 1;
}

std::vector<float> upstream_positions(const PatchPositionsConfig& config, Grid grid) {
  const int64_t side = config.stored_side();
  const Grid of = grid == config.configured ? Grid{side, side} : grid;
  std::vector<float> table(byte_count(1, of.height, of.width, config.dim));
  separable(config, of).expand(table.data());
  return table;
}

HostPositionTable patch_positions(const PatchPositionsConfig& config, Grid grid) {
  HostPositionTable host;
  host.dim = config.dim;
  const int64_t side = config.stored_side();
  if (grid == config.configured && config.upstream_fits(grid) && grid != Grid{side, side}) {
    // A square table under a grid that is not: its rows do not follow the grid's.
    host.whole_rows = config.upstream_rows(grid);
    host.whole = upstream_positions(config, grid);
    return host;
  }
  auto table = separable(config, grid);
  host.height = grid.height;
  host.width = grid.width;
  host.columns = std::move(table.columns);
  host.rows = std::move(table.rows);
  return host;
}

const PositionTable* LazyPositions::get(Device& device) {
  std::call_once(once_,
                 [&] { positions_ = device.prepare_positions(patch_positions(config_, grid_)); });
  return positions_.get();
}

std::shared_ptr<LazyPositions> PositionsCache::get(const PatchPositionsConfig& config, Grid grid) {
  for (const auto& positions : recent_) {
    if (positions->grid() == grid) return positions;
  }
  auto positions = std::make_shared<LazyPositions>(config, grid);
  const int64_t bytes =
      (grid.height + grid.width) * config.dim / 2 * static_cast<int64_t>(sizeof(float));
  if (bytes <= kKeptBytes) {
    if (recent_.size() == kKeptTables) recent_.erase(recent_.begin());
    recent_.push_back(positions);
  }
  return positions;
}

}  // namespace latte
