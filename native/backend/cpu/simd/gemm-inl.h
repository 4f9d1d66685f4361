// The matrix product of linear. Compiled once for each instruction set.
//
// C [M, N] = A [M, K] · B [K, N], summed in float32.
//
// B (the weights, transposed) is packed once into panels of kPanel columns, [K][kPanel] each, the
// last one padded with zeros. bfloat16 is packed as pairs of neighbours along K, [K/2][kPanel][2],
// or as groups of them if the processor has a dot product for these (bfloat_dot.h). A is packed
// into tiles of some rows, [K][rows] each: of float32, or of such groups. The micro-kernel keeps
// one tile × panel of C in registers.
//
// K is taken in blocks. A block of a panel fits half of the second-level cache, and stays there
// while it is multiplied with all tiles of the piece. Tiles and panel are read in order, so the
// processor prefetches them in time. Shallower blocks, for the first-level cache, were slower: they
// store and load the sums between two blocks more often.
//
// Each sum has one accumulator, and the order over K does not depend on M, tiles, threads or
// blocks. So a row's result does not depend on them either.

#if defined(LATTE_CPU_GEMM_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef LATTE_CPU_GEMM_INL_H_
#undef LATTE_CPU_GEMM_INL_H_
#else
#define LATTE_CPU_GEMM_INL_H_
#endif

#include <algorithm>
#include <utility>

#include "backend/cpu/simd/bfloat_dot.h"
#include "backend/cpu/simd/simd-inl.h"
#include "backend/cpu/simd/targets.h"

HWY_BEFORE_NAMESPACE();
namespace latte::cpu::HWY_NAMESPACE {

// Accumulators, panel vectors and one broadcast value fill the processor's 16 or 32 registers. A
// tile has at most kTileRows rows; next_tile() cuts rows into tiles of these sizes.
#if HWY_TARGET == HWY_AVX3
constexpr int kTileRows = 12;
constexpr int kPanelVectors = 2;
using TileSizes = std::integer_sequence<int, 12, 8, 4, 3, 2, 1>;
#elif HWY_TARGET == HWY_AVX2
constexpr int kTileRows = 6;
constexpr int kPanelVectors = 2;
using TileSizes = std::integer_sequence<int, 6, 5, 4, 3, 2, 1>;
#elif HWY_ARCH_ARM_A64
constexpr int kTileRows = 6;
constexpr int kPanelVectors = 4;
using TileSizes = std::integer_sequence<int, 6, 4, 3, 2, 1>;
#else
constexpr int kTileRows = 3;
constexpr int kPanelVectors = 4;
using TileSizes = std::integer_sequence<int, 3, 2, 1>;
#endif
constexpr int64_t kPanel = kPanelVectors * static_cast<int64_t>(kLanes);

/// Bytes of panels that stay in the first-level cache together if K is small.
constexpr int64_t kPanelGroupBytes = 16 << 10;

/// How much of K a block takes, in rows of a panel of B. It is even, so that pairs stay whole.
template <class B>
int64_t block_depth() {
  constexpr int64_t kRowBytes = kPanel * int64_t{sizeof(B)};
  return second_level_cache() / (2 * kRowBytes) / 2 * 2;
}

constexpr int kMostPanelsAtOnce = 3;

/// With few rows the micro-kernel takes several panels at once: more independent sums hide the
/// latency of the multiply-add.
template <int Rows>
constexpr int kPanelsAtOnce = std::clamp(kTileRows / Rows, 1, kMostPanelsAtOnce);

inline int64_t panel_count(int64_t columns) { return (columns + kPanel - 1) / kPanel; }

/// The depth of a packed panel: K, rounded up to whole pairs in bfloat16.
template <class B>
constexpr int64_t panel_depth(int64_t depth) {
  return std::is_same_v<B, BFloat> ? (depth + 1) / 2 * 2 : depth;
}

template <int Rows, int Panels>
using Sums = V[Rows][Panels][kPanelVectors];

/// sums[r][p][v] += a[r] · column(p, v), vector v of a row of panel p. The fewer of the two, values
/// of A or vectors of panels, are held in registers: beside the sums there is no room for all.
template <int Rows, int Panels, class Column>
HWY_INLINE void multiply_step(const float* HWY_RESTRICT a, const Column& column,
                              Sums<Rows, Panels>& sums) {
  if constexpr (Rows < Panels * kPanelVectors) {
    V values[Rows];
#pragma GCC unroll 16
    for (int r = 0; r < Rows; ++r) values[r] = hn::Set(df, a[r]);
#pragma GCC unroll 16
    for (int i = 0; i < Panels * kPanelVectors; ++i) {
      const int p = i / kPanelVectors, v = i % kPanelVectors;
      const V factor = column(p, v);
#pragma GCC unroll 16
      for (int r = 0; r < Rows; ++r) sums[r][p][v] = hn::MulAdd(values[r], factor, sums[r][p][v]);
    }
  } else {
    V columns[Panels][kPanelVectors];
#pragma GCC unroll 16
    for (int p = 0; p < Panels; ++p) {
#pragma GCC unroll 16
      for (int v = 0; v < kPanelVectors; ++v) columns[p][v] = column(p, v);
    }
#pragma GCC unroll 16
    for (int r = 0; r < Rows; ++r) {
      const V value = hn::Set(df, a[r]);
#pragma GCC unroll 16
      for (int p = 0; p < Panels; ++p) {
#pragma GCC unroll 16
        for (int v = 0; v < kPanelVectors; ++v) {
          sums[r][p][v] = hn::MulAdd(value, columns[p][v], sums[r][p][v]);
        }
      }
    }
  }
}

/// Whether the values of A for two steps along K fill whole vectors. If so, and the processor has a
/// multiply-add by lane, multiply_two() takes the values from the vectors' lanes.
template <int Rows>
constexpr bool kStepsByLane = kMultipliesByLane && 2 * Rows % static_cast<int>(kLanes) == 0;

/// Two steps along K: first(p, v) and second(p, v) read vector v of panel p for each of them.
template <int Rows, int Panels, class First, class Second>
HWY_INLINE void multiply_two(const float* HWY_RESTRICT a, const First& first, const Second& second,
                             Sums<Rows, Panels>& sums) {
  const TileFactors<Rows, 2> factors(a);
#pragma GCC unroll 16
  for (int p = 0; p < Panels; ++p) {
#pragma GCC unroll 16
    for (int v = 0; v < kPanelVectors; ++v) {
      factors.template multiply_add<0>(first(p, v),
                                       [&](int r) HWY_ATTR -> V& { return sums[r][p][v]; });
    }
  }
#pragma GCC unroll 16
  for (int p = 0; p < Panels; ++p) {
#pragma GCC unroll 16
    for (int v = 0; v < kPanelVectors; ++v) {
      factors.template multiply_add<1>(second(p, v),
                                       [&](int r) HWY_ATTR -> V& { return sums[r][p][v]; });
    }
  }
}

/// sums[r][p][v] += Σ_k a[k][r] · b[p][k][v] over `count` k; panels lie panel_stride elements
/// apart.
template <int Rows, int Panels, class B>
HWY_INLINE void multiply(const float* HWY_RESTRICT a, const B* HWY_RESTRICT b, int64_t panel_stride,
                         int64_t count, Sums<Rows, Panels>& sums) {
  // The panels' vectors `step` steps after `row`.
  const auto at = [&](const B* row, int64_t step) HWY_ATTR {
    return [=](int p, int v) HWY_ATTR {
      return load(row + step * kPanel + p * panel_stride + v * static_cast<int64_t>(kLanes));
    };
  };
  int64_t k = 0;
  if constexpr (kStepsByLane<Rows>) {
    const auto two = [&](const float* values, const B* row) HWY_ATTR {
      multiply_two<Rows, Panels>(values, at(row, 0), at(row, 1), sums);
    };
    constexpr int64_t kTwoRows = 2 * int64_t{Rows}, kTwoPanels = 2 * kPanel;
    for (; k + 4 <= count; k += 4, a += 2 * kTwoRows, b += 2 * kTwoPanels) {
      two(a, b);
      two(a + kTwoRows, b + kTwoPanels);
    }
    for (; k + 2 <= count; k += 2, a += kTwoRows, b += kTwoPanels) two(a, b);
  }
  for (; k < count; ++k, a += Rows, b += kPanel) {
    multiply_step<Rows, Panels>(a, at(b, 0), sums);
  }
}

/// The same for bfloat16 pairs in B; A is float32. An odd K is padded with zeros in B, not in A.
template <int Rows, int Panels>
HWY_INLINE void multiply(const float* HWY_RESTRICT a, const BFloat* HWY_RESTRICT b,
                         int64_t panel_stride, int64_t count, Sums<Rows, Panels>& sums) {
  const auto even = [&](int p, int v) HWY_ATTR {
    return load_even(b + p * panel_stride + int64_t{2} * v * static_cast<int64_t>(kLanes));
  };
  const auto odd = [&](int p, int v) HWY_ATTR {
    return load_odd(b + p * panel_stride + int64_t{2} * v * static_cast<int64_t>(kLanes));
  };
  int64_t k = 0;
  for (; k + 2 <= count; k += 2, a += int64_t{2} * Rows, b += 2 * kPanel) {
    if constexpr (kStepsByLane<Rows>) {
      multiply_two<Rows, Panels>(a, even, odd, sums);
    } else {
      multiply_step<Rows, Panels>(a, even, sums);
      multiply_step<Rows, Panels>(a + Rows, odd, sums);
    }
  }
  if (k < count) multiply_step<Rows, Panels>(a, even, sums);
}

#if LATTE_MAY_DOT
/// The same by the processor's dot product. `count` and panel_stride count groups.
template <int Rows, int Panels>
HWY_INLINE void multiply(const BFloatGroup* a, const BFloatGroup* b, int64_t panel_stride,
                         int64_t count, Sums<Rows, Panels>& sums) {
  static_assert(kPanel == kBFloatDotPanel);
  multiply_bfloat_groups(Rows, Panels, a, b, panel_stride, count, reinterpret_cast<float*>(&sums));
}
#endif

/// One piece of a product: some tiles of A times some panels of B.
template <class B, class A = float>
struct Piece {
  const A* tiles = nullptr;   // packed A; the tile that begins with row i is at i · depth
  int64_t rows = 0;           // of all tiles together
  int64_t depth = 0;          // K, in elements of A
  const B* panels = nullptr;  // all of packed B
  int64_t first_panel = 0, last_panel = 0;  // [first, last)
  float* partial = nullptr;  // [rows · panels · kPanel] sums between blocks of K; null: one block

  /// Row k of a panel.
  const B* weights(int64_t panel, int64_t k) const {
    return panels + (panel * panel_depth<B>(depth) + k) * kPanel;
  }
};

/// One tile (from `row` on) times `Panels` panels (from `panel` on) over K in [k, k + count). Loads
/// and stores the sums in `partial`; calls emit() after the last block of K.
template <int Rows, int Panels, class B, class A, class Emit>
HWY_INLINE void multiply_tile(const Piece<B, A>& piece, int64_t row, int64_t panel, int64_t k,
                              int64_t count, const Emit& emit) {
  Sums<Rows, Panels> sums;
  float* partial =
      piece.partial +
      (row * (piece.last_panel - piece.first_panel) + (panel - piece.first_panel) * Rows) * kPanel;
  const auto slot = [&](int r, int p, int v) {
    return partial + ((p * Rows + r) * kPanelVectors + v) * static_cast<int64_t>(kLanes);
  };
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 16
    for (int p = 0; p < Panels; ++p) {
#pragma GCC unroll 16
      for (int v = 0; v < kPanelVectors; ++v) {
        sums[r][p][v] = k == 0 ? hn::Zero(df) : hn::LoadU(df, slot(r, p, v));
      }
    }
  }
  multiply<Rows, Panels>(piece.tiles + row * piece.depth + k * Rows, piece.weights(panel, k),
                         panel_depth<B>(piece.depth) * kPanel, count, sums);
  const bool last = k + count == piece.depth;
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 16
    for (int p = 0; p < Panels; ++p) {
      if (last) {
        // A copy. If `sums` itself were passed to a call, compilers would keep it in memory during
        // multiply().
        V finished[kPanelVectors];
#pragma GCC unroll 16
        for (int v = 0; v < kPanelVectors; ++v) finished[v] = sums[r][p][v];
        emit(row + r, panel + p, finished);
      } else {
#pragma GCC unroll 16
        for (int v = 0; v < kPanelVectors; ++v) hn::StoreU(sums[r][p][v], df, slot(r, p, v));
      }
    }
  }
}

/// One tile times panels [first, last), kPanelsAtOnce at a time.
template <int Rows, class B, class A, class Emit>
HWY_INLINE void multiply_panels(const Piece<B, A>& piece, int64_t row, int64_t first, int64_t last,
                                int64_t k, int64_t count, const Emit& emit) {
  constexpr int kAtOnce = kPanelsAtOnce<Rows>;
  int64_t panel = first;
  for (; panel + kAtOnce <= last; panel += kAtOnce) {
    multiply_tile<Rows, kAtOnce>(piece, row, panel, k, count, emit);
  }
  if constexpr (kAtOnce > 1) {
    for (; panel < last; ++panel) {
      multiply_tile<Rows, 1>(piece, row, panel, k, count, emit);
    }
  }
}

/// The largest tile size that is not larger than `rows`.
template <int... kSizes>
constexpr int64_t tile_size(int64_t rows, std::integer_sequence<int, kSizes...>) {
  int64_t size = 0;
  (void)((kSizes <= rows && (size = kSizes, true)) || ...);
  return size;
}

/// How many rows the next tile takes if `left` rows of a piece are left. The last two tiles share
/// their rows evenly if there are such sizes: a tile of one row reads all of a panel for it.
constexpr int64_t next_tile(int64_t left) {
  const int64_t half = (left + 1) / 2;
  const bool two_halves = left > kTileRows && left < int64_t{2} * kTileRows &&
                          tile_size(half, TileSizes()) == half &&
                          tile_size(left - half, TileSizes()) == left - half;
  return two_halves ? half : tile_size(left, TileSizes());
}

/// Calls function.template operator()<Rows>() for a tile of `rows` rows.
template <class Function, int... kSizes>
HWY_INLINE void with_rows(int64_t rows, const Function& function,
                          std::integer_sequence<int, kSizes...>) {
  (void)((kSizes == rows && (function.template operator()<kSizes>(), true)) || ...);
}

/// Calls emit(row, panel, sums) for every row and panel of the piece, once all of K is summed.
/// `block` is how much of K to take at a time: all of it if there is no `partial`.
template <class B, class A, class Emit>
HWY_INLINE void multiply_piece(const Piece<B, A>& piece, int64_t block, const Emit& emit) {
  const int64_t block_bytes =
      std::min(block, std::max<int64_t>(piece.depth, 1)) * kPanel * static_cast<int64_t>(sizeof(B));
  const int64_t group = std::max<int64_t>(kPanelGroupBytes / block_bytes, 1);
  for (int64_t k = 0; k == 0 || k < piece.depth; k += block) {
    const int64_t count = std::min(block, piece.depth - k);
    for (int64_t first = piece.first_panel; first < piece.last_panel; first += group) {
      const int64_t last = std::min(first + group, piece.last_panel);
      for (int64_t row = 0, rows; row < piece.rows; row += rows) {
        rows = next_tile(piece.rows - row);
        with_rows(
            rows,
            [&]<int Rows>() { multiply_panels<Rows>(piece, row, first, last, k, count, emit); },
            TileSizes());
      }
    }
  }
}

}  // namespace latte::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // LATTE_CPU_GEMM_INL_H_
