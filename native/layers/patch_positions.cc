#include "layers/patch_positions.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "core/byte_count.h"
#include "core/position_table.h"

namespace latte {

namespace {

constexpr size_t kKeptTables = 8;
constexpr double kKeptBytes = 256 << 20;

/// The bytes of the whole table of a grid, which an NPU keeps. A double, because the grid of an
/// empty batch may have any size and an integer could overflow.
double whole_bytes(Grid grid, int64_t dim) {
  return static_cast<double>(grid.height) * static_cast<double>(grid.width) *
         static_cast<double>(dim) * sizeof(float);
}

}  // namespace

int64_t PatchPositions::stored_side() const {
  const int64_t tokens = configured.height * configured.width;
  auto root = static_cast<int64_t>(std::sqrt(static_cast<double>(tokens)));
  while (root * root > tokens) --root;
  while ((root + 1) * (root + 1) <= tokens) ++root;
  return root;
}

int64_t PatchPositions::reference_rows(Grid grid) const {
  const int64_t side = stored_side();
  return grid == configured ? side * side : grid.height * grid.width;
}

bool PatchPositions::reference_fits(Grid grid) const {
  const int64_t rows = reference_rows(grid);
  return rows == grid.height * grid.width || rows == 1;
}

std::vector<float> PatchPositions::reference_table(Grid grid) const {
  const int64_t side = stored_side();
  const Grid of = grid == configured ? Grid{side, side} : grid;
  std::vector<float> table(byte_count(1, of.height, of.width, dim));
  separable_table(of).expand(table.data());
  return table;
}

PositionTable PatchPositions::table(Grid grid) const {
  const int64_t side = stored_side();
  if (grid != configured || !reference_fits(grid) || grid == Grid{side, side}) {
    return separable_table(grid);
  }
  // The reference's table is square and the grid is not, so the table's rows are not those of the
  // grid: only a whole table can hold them.
  PositionTable table;
  table.dim = dim;
  table.whole_rows = reference_rows(grid);
  table.whole = reference_table(grid);
  return table;
}

PositionTable PatchPositions::separable_table(Grid grid) const {
  return grid_table<float>(grid.height, grid.width, dim, configured.height, interpolation_scale);
}

const PreparedPositions* LazyPositions::get(Device& device) {
  std::call_once(once_, [&] { prepared_ = device.prepare_positions(make_(grid_)); });
  return prepared_.get();
}

std::shared_ptr<LazyPositions> PositionsCache::get(const MakeTable& make, int64_t dim, Grid grid) {
  const auto found = std::find_if(recent_.begin(), recent_.end(),
                                  [&](const auto& table) { return table->grid() == grid; });
  auto table = found == recent_.end() ? std::make_shared<LazyPositions>(make, grid) : *found;
  if (found != recent_.end()) recent_.erase(found);
  recent_.push_back(table);
  double bytes = 0;
  for (const auto& kept : recent_) bytes += whole_bytes(kept->grid(), dim);
  while (recent_.size() > 1 && (recent_.size() > kKeptTables || bytes > kKeptBytes)) {
    bytes -= whole_bytes(recent_.front()->grid(), dim);
    recent_.erase(recent_.begin());
  }
  return table;
}

}  // namespace latte
