// The position tables of a PatchEmbed: which one a grid of tokens gets, and their cache.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "backend/backend.h"

namespace latte {

struct Grid {
  int64_t height = 0, width = 0;
  bool operator==(const Grid&) const = default;
};

/// Decides which position table a grid of tokens gets.
struct PatchPositions {
  Grid configured;  // in tokens; its height is the base size of every table
  int64_t dim = 0;
  double interpolation_scale = 1;

  /// The table for a grid of flattened tokens.
  PositionTable table(Grid grid) const;

  /// The reference's table at construction has ⌊√N⌋ × ⌊√N⌋ rows for N configured tokens.
  int64_t stored_side() const;
  /// How many rows the reference adds to a grid of tokens: at the configured size those of the
  /// stored table, else one for each token.
  int64_t reference_rows(Grid grid) const;
  /// Whether the reference's table can be added to the flattened tokens, by broadcasting if need
  /// be. If not, the reference fails, and table() returns the table of the grid itself.
  bool reference_fits(Grid grid) const;
  /// The reference's table for a grid, as [reference_rows(grid), dim].
  std::vector<float> reference_table(Grid grid) const;

 private:
  PositionTable separable_table(Grid grid) const;
};

/// Computes the table of a grid; called by the first forward to need it, on whichever thread that
/// runs.
using MakeTable = std::function<PositionTable(Grid)>;

/// A prepared table that the first forward to need it computes.
class LazyPositions {
 public:
  LazyPositions(MakeTable make, Grid grid) : make_(std::move(make)), grid_(grid) {}

  Grid grid() const { return grid_; }
  const PreparedPositions* get(Device& device);

 private:
  MakeTable make_;
  Grid grid_;
  std::once_flag once_;
  std::shared_ptr<const PreparedPositions> prepared_;
};

/// The tables of the grids that were used last: at most 8 and 256 MiB of them (counted as whole
/// tables, which an NPU keeps), and in any case the last one.
class PositionsCache {
 public:
  /// @param make how a table that is not there is computed; the same for all grids of the cache.
  std::shared_ptr<LazyPositions> get(const MakeTable& make, int64_t dim, Grid grid);

 private:
  std::vector<std::shared_ptr<LazyPositions>> recent_;  // the last one used is the last
};

}  // namespace latte
