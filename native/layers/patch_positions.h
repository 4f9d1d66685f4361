// The position tables of a PatchEmbed: the choice of the table for a grid of tokens, and a cache.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "backend/backend.h"

namespace latte {

/// A grid of tokens.
struct Grid {
  int64_t height = 0, width = 0;
  bool operator==(const Grid&) const = default;
};

/// Chooses the position table for a grid of tokens, as the reference does.
struct PatchPositions {
  Grid configured;  // the layer's own; its height is the base size of every table
  int64_t dim = 0;
  double interpolation_scale = 1;

  /// The table for a grid of flattened tokens.
  PositionTable table(Grid grid) const;

  /// The side of the table that the reference makes when it constructs the layer: ⌊√N⌋ for N tokens
  /// of the configured grid. The table has side² rows.
  int64_t stored_side() const;
  /// How many rows the table has that the reference adds to a grid: those of the stored table at
  /// the configured size, else one for each token.
  int64_t reference_rows(Grid grid) const;
  /// Whether the reference's table broadcasts to the flattened tokens. If it does not, the
  /// reference fails; table() returns the grid's own table then.
  bool reference_fits(Grid grid) const;
  /// The reference's table for a grid, as [reference_rows(grid), dim].
  std::vector<float> reference_table(Grid grid) const;

 private:
  PositionTable separable_table(Grid grid) const;
};

/// Computes the table of a grid. Called on the thread that runs the first forward with that grid.
using MakeTable = std::function<PositionTable(Grid)>;

/// The prepared table of a grid. The first forward that needs it computes and prepares it.
class LazyPositions {
 public:
  LazyPositions(MakeTable make, Grid grid) : make_(std::move(make)), grid_(grid) {}

  Grid grid() const { return grid_; }
  /// On the first call, computes and prepares the table. May be called on any thread.
  const PreparedPositions* get(Device& device);

 private:
  MakeTable make_;
  Grid grid_;
  std::once_flag once_;
  std::shared_ptr<const PreparedPositions> prepared_;
};

/// The tables of the grids that were used last: at most 8, and at most 256 MiB, but always the last
/// one. A table counts as a whole one, because an NPU keeps all its rows.
class PositionsCache {
 public:
  /// The table of a grid, which becomes the one used last.
  /// @param make computes a table that is not in the cache; the same in all calls.
  std::shared_ptr<LazyPositions> get(const MakeTable& make, int64_t dim, Grid grid);

 private:
  std::vector<std::shared_ptr<LazyPositions>> recent_;  // the one used last is at the end
};

}  // namespace latte
