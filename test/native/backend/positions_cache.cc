// Which position tables a PatchEmbed keeps.
#include "check.h"
#include "layers/patch_positions.h"

namespace {

using namespace latte;

PatchPositions positions_of(int64_t dim) {
  PatchPositions positions;
  positions.configured = {8, 8};
  positions.dim = dim;
  return positions;
}

TEST("the table that was not used for longest goes first") {
  PositionsCache cache;
  const PatchPositions positions = positions_of(16);
  const auto first = cache.get(positions, {1, 1});
  const auto second = cache.get(positions, {2, 2});
  for (int64_t side = 3; side <= 8; ++side) cache.get(positions, {side, side});
  EXPECT(cache.get(positions, {1, 1}) == first);
  cache.get(positions, {9, 9});
  EXPECT(cache.get(positions, {1, 1}) == first);
  EXPECT(cache.get(positions, {2, 2}) != second);
});

TEST("large tables are bounded by their bytes, and the last one is always kept") {
  PositionsCache cache;
  const PatchPositions positions = positions_of(1152);
  const auto large = cache.get(positions, {192, 192});  // 162 MiB
  const auto small = cache.get(positions, {32, 32});
  EXPECT(cache.get(positions, {192, 192}) == large);
  const auto huge = cache.get(positions, {512, 512});  // 1.1 GiB
  EXPECT(cache.get(positions, {512, 512}) == huge);
  EXPECT(cache.get(positions, {32, 32}) != small);
});

TEST("the grid of an empty batch may be too large for any table") {
  PositionsCache cache;
  const PatchPositions positions = positions_of(1152);
  const auto small = cache.get(positions, {32, 32});
  const auto vast = cache.get(positions, {int64_t{1} << 30, int64_t{1} << 30});
  EXPECT(cache.get(positions, {int64_t{1} << 30, int64_t{1} << 30}) == vast);
  EXPECT(cache.get(positions, {32, 32}) != small);
});

}  // namespace
