// The position tables of a PatchEmbed: which one a grid of tokens gets, and their cache.
#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "backend/backend.h"

namespace latte {

struct Grid {
  int64_t height = 0, width = 0;
  bool operator==(const Grid&) const = default;
};

/// What decides about a table.
struct PatchPositionsConfig {
  Grid configured;  // in tokens; its height is the base size of every table
  int64_t dim = 0;
  double interpolation_scale = 1;

  /// The table that upstream builds at construction is ⌊√N⌋ × ⌊√N⌋ for N configured tokens.
  int64_t stored_side() const;
  /// The rows of the table that upstream adds to a grid of tokens: the stored one at the configured
  /// size, else one for each token.
  int64_t upstream_rows(Grid grid) const;
  /// Whether that table can be added to the flattened tokens, by broadcasting if need be. Where
  /// not, upstream can only fail, and the table of the grid itself is used.
  bool upstream_fits(Grid grid) const;
};

/// The table for a grid of flattened tokens.
HostPositionTable patch_positions(const PatchPositionsConfig& config, Grid grid);

/// upstream's table for a grid, as [rows, dim].
std::vector<float> upstream_positions(const PatchPositionsConfig& config, Grid grid);

/// A table that the first forward to need it computes, on whichever thread that runs.
class LazyPositions {
 public:
  LazyPositions(const PatchPositionsConfig& config, Grid grid) : config_(config), grid_(grid) {}

  Grid grid() const { return grid_; }
  const PositionTable* get(Device& device);

 private:
  PatchPositionsConfig config_;
  Grid grid_;
  std::once_flag once_;
  std::shared_ptr<const PositionTable> positions_;
};

/// The tables of the grids that were seen last, as many as are small enough to be kept.
class PositionsCache {
 public:
  std::shared_ptr<LazyPositions> get(const PatchPositionsConfig& config, Grid grid);

 private:
  std::vector<std::shared_ptr<LazyPositions>> recent_;
};

}  // namespace latte
