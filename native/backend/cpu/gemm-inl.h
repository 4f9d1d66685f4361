// The matrix product that linear and the patch projection share. Compiled once a target.
//
// C [M, N] = A [M, K] · B [K, N] in float32. B (the weights, transposed) is packed once into panels
// of kPanel columns, [K][kPanel] each, the last one padded with zeros. A is packed into tiles of
// some rows, [K][rows] each, as float32. The micro-kernel keeps one tile × panel of C in
// registers. The order of summation over K never depends on M, tiles, threads or blocks, so a row's
// result does not either.

#if defined(LATTE_CPU_GEMM_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef LATTE_CPU_GEMM_INL_H_
#undef LATTE_CPU_GEMM_INL_H_
#else
#define LATTE_CPU_GEMM_INL_H_
#endif

#include <algorithm>
#include <utility>

#include "backend/cpu/simd-inl.h"

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

// Rows of K that a block takes: a panel's share (16 KiB of float32) stays in the first-level cache.
constexpr int64_t kBlockK = 256;
constexpr int64_t kPanelGroupBytes = 16 << 10;

/// With few rows the micro-kernel takes several panels at once, to have enough sums under way.
template <int Rows>
constexpr int kPanelsAtOnce = std::clamp(kTileRows / Rows, 1, 4);

inline int64_t panel_count(int64_t columns) { return (columns + kPanel - 1) / kPanel; }

/// sums[r][p][v] += Σ_k a[k][r] · b[p][k][v]; panels lie panel_stride elements apart.
template <int Rows, int Panels, class T>
HWY_INLINE void multiply(const float* HWY_RESTRICT a, const T* HWY_RESTRICT b, int64_t panel_stride,
                         int64_t count, V (&sums)[Rows][Panels][kPanelVectors]) {
  for (int64_t k = 0; k < count; ++k) {
    V columns[Panels][kPanelVectors];
#pragma GCC unroll 16
    for (int p = 0; p < Panels; ++p) {
#pragma GCC unroll 16
      for (int v = 0; v < kPanelVectors; ++v) {
        columns[p][v] = load(b + p * panel_stride + k * kPanel + v * static_cast<int64_t>(kLanes));
      }
    }
#pragma GCC unroll 16
    for (int r = 0; r < Rows; ++r) {
      const V value = hn::Set(df, a[k * Rows + r]);
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

/// One piece of a product: some tiles of A times some panels of B.
template <class T>
struct Piece {
  const float* tiles = nullptr;  // packed A; the tile that begins with row i is at i · depth
  int64_t rows = 0;              // of all tiles
  int64_t depth = 0;             // K
  const T* panels = nullptr;     // all of packed B
  int64_t first_panel = 0, last_panel = 0;  // [first, last)
  float* partial = nullptr;  // sums between blocks of K: rows × panels × kPanel; unused when K fits
};

template <int Rows, int Panels, class T, class Emit>
HWY_INLINE void multiply_tile(const Piece<T>& piece, int64_t row, int64_t panel, int64_t k,
                              int64_t count, const Emit& emit) {
  V sums[Rows][Panels][kPanelVectors];
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
  multiply<Rows, Panels>(piece.tiles + row * piece.depth + k * Rows,
                         piece.panels + (panel * piece.depth + k) * kPanel, piece.depth * kPanel,
                         count, sums);
  const bool last = k + count == piece.depth;
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 16
    for (int p = 0; p < Panels; ++p) {
      if (last) {
        emit(row + r, panel + p, sums[r][p]);
      } else {
#pragma GCC unroll 16
        for (int v = 0; v < kPanelVectors; ++v) hn::StoreU(sums[r][p][v], df, slot(r, p, v));
      }
    }
  }
}

template <int Rows, class T, class Emit>
HWY_INLINE void multiply_panels(const Piece<T>& piece, int64_t row, int64_t first, int64_t last,
                                int64_t k, int64_t count, const Emit& emit) {
  constexpr int kAtOnce = kPanelsAtOnce<Rows>;
  int64_t panel = first;
  for (; panel + kAtOnce <= last; panel += kAtOnce) {
    multiply_tile<Rows, kAtOnce>(piece, row, panel, k, count, emit);
  }
  if constexpr (kAtOnce > 1) {
    for (; panel < last; ++panel) multiply_tile<Rows, 1>(piece, row, panel, k, count, emit);
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
/// `block` is how much of K to take at a time: kBlockK, or all of it where there is no `partial`.
template <class T, class Emit>
HWY_INLINE void multiply_piece(const Piece<T>& piece, int64_t block, const Emit& emit) {
  const int64_t group =
      std::max<int64_t>(kPanelGroupBytes / (std::min(block, std::max<int64_t>(piece.depth, 1)) *
                                            kPanel * static_cast<int64_t>(sizeof(T))),
                        1);
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

/// Packs one tile of A: tile[k][r] = row(r)[k].
template <class T>
HWY_INLINE void pack_tile(const T* rows_begin, int64_t row_stride, int64_t rows, int64_t depth,
                          Activation activation, float* tile) {
  HWY_ALIGN float lanes[kLanes];
  for (int64_t r = 0; r < rows; ++r) {
    const T* from = rows_begin + r * row_stride;
    for (int64_t k = 0; k < depth; k += static_cast<int64_t>(kLanes)) {
      const auto count = static_cast<size_t>(std::min<int64_t>(kLanes, depth - k));
      V value = count == kLanes ? load(from + k) : load_some(from + k, count);
      if (activation != Activation::kNone) value = rounded<T>(activate(activation, value));
      hn::Store(value, df, lanes);
      for (size_t i = 0; i < count; ++i) tile[(k + static_cast<int64_t>(i)) * rows + r] = lanes[i];
    }
  }
}

}  // namespace latte::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // LATTE_CPU_GEMM_INL_H_
