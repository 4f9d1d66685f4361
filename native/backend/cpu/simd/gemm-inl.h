// The matrix product of linear. Compiled once for each instruction set.
//
// C [M, N] = A [M, K] · B [K, N], summed in float32.
//
// B (the weights, transposed) is packed once into panels of kPanel columns, [K][kPanel] each, the
// last one padded with zeros; bfloat16 as pairs of neighbours along K, [K/2][kPanel][2]. A is
// packed into tiles of some rows, [K][rows] each: float32, or pairs of bfloat16 where the processor
// has a dot product of them (bfloat_dot.h). The micro-kernel keeps one tile × panel of C in
// registers.
//
// K is taken in blocks, as deep as a panel's share fits half of the second-level cache: there it
// stays while all tiles of the piece pass by, each read once in order, as the panel is, which the
// processor's own prefetching keeps up with. Shallower blocks, for the first-level cache, lose more
// to the sums that wait in memory between two blocks.
//
// Each sum has one accumulator, and the order over K never depends on M, tiles, threads or blocks:
// a row's result does not either.

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

// Accumulators, panel vectors and one broadcast fill the registers: 16 of them, or 32. A tile has
// kTileRows rows; the rows that are left over are cut into the smaller sizes, largest first.
#if HWY_TARGET == HWY_AVX3
constexpr int kTileRows = 12;
constexpr int kPanelVectors = 2;
using TileSizes = std::integer_sequence<int, 12, 8, 4, 3, 2, 1>;
#elif HWY_TARGET == HWY_AVX2
constexpr int kTileRows = 6;
constexpr int kPanelVectors = 2;
using TileSizes = std::integer_sequence<int, 6, 4, 3, 2, 1>;
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

/// Panels of a shallow product that the first-level cache holds together.
constexpr int64_t kPanelGroupBytes = 16 << 10;

/// How much of K a block takes, in rows of a panel of B.
template <class B>
int64_t block_depth() {
  constexpr int64_t kRowBytes = kPanel * int64_t{sizeof(B)};
  return second_level_cache() / (2 * kRowBytes) / 2 * 2;  // pairs stay whole
}

constexpr int kMostPanelsAtOnce = 3;

/// With few rows the micro-kernel takes several panels at once, to have enough sums under way.
template <int Rows>
constexpr int kPanelsAtOnce = std::clamp(kTileRows / Rows, 1, kMostPanelsAtOnce);

inline int64_t panel_count(int64_t columns) { return (columns + kPanel - 1) / kPanel; }

/// The depth of a packed panel: pairs of bfloat16 are whole.
template <class B>
constexpr int64_t panel_depth(int64_t depth) {
  return std::is_same_v<B, BFloat> ? (depth + 1) / 2 * 2 : depth;
}

template <int Panels>
using Columns = V[Panels][kPanelVectors];
template <int Rows, int Panels>
using Sums = V[Rows][Panels][kPanelVectors];

/// columns[p][v] = vector v of a row of panel p.
template <int Panels, class B, class Read>
HWY_INLINE void read_columns(const B* row, int64_t panel_stride, const Read& read,
                             Columns<Panels>& columns) {
#pragma GCC unroll 16
  for (int p = 0; p < Panels; ++p) {
#pragma GCC unroll 16
    for (int v = 0; v < kPanelVectors; ++v) {
      columns[p][v] = read(row + p * panel_stride, v * static_cast<int64_t>(kLanes));
    }
  }
}

/// sums[r][p][v] += a[r] · columns[p][v]
template <int Rows, int Panels>
HWY_INLINE void multiply_step(const float* HWY_RESTRICT a, const Columns<Panels>& columns,
                              Sums<Rows, Panels>& sums) {
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

/// Whether two steps' values of A fill whole vectors, from the lanes of which they are multiplied.
template <int Rows>
constexpr bool kStepsByLane = kMultipliesByLane && 2 * Rows % static_cast<int>(kLanes) == 0;

/// Two steps: `first` and `second` read vector v of a row of panel p.
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
  const auto read = [](const B* row, int64_t column) { return load(row + column); };
  int64_t k = 0;
  if constexpr (kStepsByLane<Rows>) {
    const auto two = [&](const float* values, const B* row) HWY_ATTR {
      const auto at = [&](int64_t step) HWY_ATTR {
        return [&, step](int p, int v) HWY_ATTR {
          return read(row + step * kPanel + p * panel_stride, v * static_cast<int64_t>(kLanes));
        };
      };
      multiply_two<Rows, Panels>(values, at(0), at(1), sums);
    };
    constexpr int64_t kTwoRows = 2 * int64_t{Rows}, kTwoPanels = 2 * kPanel;
    for (; k + 4 <= count; k += 4, a += 2 * kTwoRows, b += 2 * kTwoPanels) {
      two(a, b);
      two(a + kTwoRows, b + kTwoPanels);
    }
    for (; k + 2 <= count; k += 2, a += kTwoRows, b += kTwoPanels) two(a, b);
  }
  for (; k < count; ++k, a += Rows, b += kPanel) {
    Columns<Panels> columns;
    read_columns<Panels>(b, panel_stride, read, columns);
    multiply_step<Rows, Panels>(a, columns, sums);
  }
}

/// The same over pairs. An odd K is filled up with zeros in B, but not in A.
template <int Rows, int Panels>
HWY_INLINE void multiply(const float* HWY_RESTRICT a, const BFloat* HWY_RESTRICT b,
                         int64_t panel_stride, int64_t count, Sums<Rows, Panels>& sums) {
  const auto even = [](const BFloat* row, int64_t column) { return load_even(row + 2 * column); };
  const auto odd = [](const BFloat* row, int64_t column) { return load_odd(row + 2 * column); };
  Columns<Panels> columns;
  int64_t k = 0;
  for (; k + 2 <= count; k += 2, a += int64_t{2} * Rows, b += 2 * kPanel) {
    if constexpr (kStepsByLane<Rows>) {
      const auto at = [&](const auto& read) HWY_ATTR {
        return [&](int p, int v) HWY_ATTR {
          return read(b + p * panel_stride, v * static_cast<int64_t>(kLanes));
        };
      };
      multiply_two<Rows, Panels>(a, at(even), at(odd), sums);
    } else {
      read_columns<Panels>(b, panel_stride, even, columns);
      multiply_step<Rows, Panels>(a, columns, sums);
      read_columns<Panels>(b, panel_stride, odd, columns);
      multiply_step<Rows, Panels>(a + Rows, columns, sums);
    }
  }
  if (k == count) return;
  read_columns<Panels>(b, panel_stride, even, columns);
  multiply_step<Rows, Panels>(a, columns, sums);
}

#if HWY_TARGET == HWY_AVX3
/// The same by the processor's dot product: K, `count` and panel_stride count pairs.
template <int Rows, int Panels>
HWY_INLINE void multiply(const BFloatPair* a, const BFloatPair* b, int64_t panel_stride,
                         int64_t count, Sums<Rows, Panels>& sums) {
  static_assert(kPanel == kBFloatDotPanel);
  multiply_bfloat_pairs(Rows, Panels, a, b, panel_stride, count, reinterpret_cast<float*>(&sums));
}
#endif

/// One piece of a product: some tiles of A times some panels of B.
template <class B, class A = float>
struct Piece {
  const A* tiles = nullptr;   // packed A; the tile that begins with row i is at i · depth
  int64_t rows = 0;           // of all tiles
  int64_t depth = 0;          // K, in elements of A
  const B* panels = nullptr;  // all of packed B
  int64_t first_panel = 0, last_panel = 0;  // [first, last)
  float* partial = nullptr;  // sums between blocks of K: rows × panels × kPanel; unused when K fits

  const B* weights(int64_t panel, int64_t k) const {
    return panels + (panel * panel_depth<B>(depth) + k) * kPanel;
  }
};

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
        // A copy: what a call may reach would not stay in registers during the loop above.
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

/// How many of `left` rows the next tile takes.
template <int... kSizes>
constexpr int64_t next_tile(int64_t left, std::integer_sequence<int, kSizes...>) {
  int64_t rows = 0;
  (void)((kSizes <= left && (rows = kSizes, true)) || ...);
  return rows;
}
constexpr int64_t next_tile(int64_t left) { return next_tile(left, TileSizes()); }

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
