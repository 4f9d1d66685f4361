// Which position tables a PatchEmbed keeps.
#include "check.h"
#include "layers/patch_positions.h"

namespace {

using namespace latte;

/// Requests a table; computes nothing, because tables are lazy.
std::shared_ptr<LazyPositions> get(PositionsCache& cache, int64_t dim, Grid grid) {
  return cache.get([](Grid) { return PositionTable{}; }, dim, grid);
}

TEST("the table that was not used for longest goes first") {
  PositionsCache cache;
  constexpr int64_t kDim = 16;
  const auto first = get(cache, kDim, {1, 1});
  const auto second = get(cache, kDim, {2, 2});
  for (int64_t side = 3; side <= 8; ++side) get(cache, kDim, {side, side});
  EXPECT(get(cache, kDim, {1, 1}) == first);
  get(cache, kDim, {9, 9});
  EXPECT(get(cache, kDim, {1, 1}) == first);
  EXPECT(get(cache, kDim, {2, 2}) != second);
});

TEST("large tables are bounded by their bytes, and the last one is always kept") {
  PositionsCache cache;
  constexpr int64_t kDim = 1152;
  const auto large = get(cache, kDim, {192, 192});  // 162 MiB
  const auto small = get(cache, kDim, {32, 32});
  EXPECT(get(cache, kDim, {192, 192}) == large);
  const auto huge = get(cache, kDim, {512, 512});  // 1.1 GiB
  EXPECT(get(cache, kDim, {512, 512}) == huge);
  EXPECT(get(cache, kDim, {32, 32}) != small);
});

TEST("the grid of an empty batch may be too large for any table") {
  PositionsCache cache;
  constexpr int64_t kDim = 1152;
  const auto small = get(cache, kDim, {32, 32});
  const auto vast = get(cache, kDim, {int64_t{1} << 30, int64_t{1} << 30});
  EXPECT(get(cache, kDim, {int64_t{1} << 30, int64_t{1} << 30}) == vast);
  EXPECT(get(cache, kDim, {32, 32}) != small);
});

}  // namespace
