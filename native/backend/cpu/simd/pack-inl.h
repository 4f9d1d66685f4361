// Packing rows of A into the tiles of gemm-inl.h. Compiled once for each instruction set.

#if defined(LATTE_CPU_PACK_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef LATTE_CPU_PACK_INL_H_
#undef LATTE_CPU_PACK_INL_H_
#else
#define LATTE_CPU_PACK_INL_H_
#endif

#include <algorithm>
#include <cstring>

#include "backend/cpu/simd/bfloat_dot.h"
#include "backend/cpu/simd/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace latte::cpu::HWY_NAMESPACE {

/// How many elements of a row one element of a tile holds.
template <class A>
constexpr int64_t kPerElement = std::is_same_v<A, BFloatGroup> ? kBFloatGroup : 1;

/// kLanes elements of a tile from a row, after the activation. A bfloat16 pair is returned as the
/// bits of one float32 lane.
template <class A, class T>
HWY_INLINE V load_for_tile(const T* from, Activation activation) {
  if constexpr (kPerElement<A> == 1) {
    const V value = load(from);
    if (activation == Activation::kNone) return value;
    return rounded<T>(activate(activation, value));
  } else {
    if (activation == Activation::kNone) {
      return hn::LoadU(df, reinterpret_cast<const float*>(from));
    }
    const auto even = bfloat_bits(activate(activation, load_even(from)));
    const auto odd = bfloat_bits(activate(activation, load_odd(from)));
    return hn::BitCast(df, hn::Or(even, hn::ShiftLeft<16>(odd)));
  }
}

/// The same for a row that ends after `left` elements: zeros follow them.
template <class A, class T>
HWY_INLINE V load_some_for_tile(const T* from, int64_t left, Activation activation) {
  HWY_ALIGN T padded[kPerElement<A> * static_cast<int64_t>(kLanes)] = {};
  std::memcpy(padded, from, static_cast<size_t>(left) * sizeof(T));
  return load_for_tile<A>(padded, activation);
}

// store_transposed: to[i · stride + r] = lane i of rows[r] for i below `count`. There are versions
// for 4, 2 and 1 rows.

#if HWY_TARGET == HWY_SCALAR  // Highway before 1.0.5 has no SSE2 target: vectors have one lane
using RowsAtOnce = std::integer_sequence<int, 1>;
#else
using RowsAtOnce = std::integer_sequence<int, 4, 2, 1>;

HWY_INLINE void store_transposed(const V (&rows)[4], int64_t count, int64_t stride, float* to) {
  const V lower_02 = hn::InterleaveLower(df, rows[0], rows[2]);
  const V lower_13 = hn::InterleaveLower(df, rows[1], rows[3]);
  const V upper_02 = hn::InterleaveUpper(df, rows[0], rows[2]);
  const V upper_13 = hn::InterleaveUpper(df, rows[1], rows[3]);
  // Lane i of the four rows is now one block of 128 bits: block i / 4 of columns[i % 4].
  HWY_ALIGN float columns[4][kLanes];
  hn::Store(hn::InterleaveLower(df, lower_02, lower_13), df, columns[0]);
  hn::Store(hn::InterleaveUpper(df, lower_02, lower_13), df, columns[1]);
  hn::Store(hn::InterleaveLower(df, upper_02, upper_13), df, columns[2]);
  hn::Store(hn::InterleaveUpper(df, upper_02, upper_13), df, columns[3]);
  for (int64_t i = 0; i < count; ++i) {
    std::memcpy(to + i * stride, &columns[i % 4][i / 4 * 4], 4 * sizeof(float));
  }
}

HWY_INLINE void store_transposed(const V (&rows)[2], int64_t count, int64_t stride, float* to) {
  // Lane i of the two rows is now 64 bits: half i % 2 of block i / 4 of pairs[i % 4 / 2].
  HWY_ALIGN float pairs[2][kLanes];
  hn::Store(hn::InterleaveLower(df, rows[0], rows[1]), df, pairs[0]);
  hn::Store(hn::InterleaveUpper(df, rows[0], rows[1]), df, pairs[1]);
  for (int64_t i = 0; i < count; ++i) {
    std::memcpy(to + i * stride, &pairs[i % 4 / 2][i / 4 * 4 + i % 2 * 2], 2 * sizeof(float));
  }
}
#endif

HWY_INLINE void store_transposed(const V (&rows)[1], int64_t count, int64_t stride, float* to) {
  HWY_ALIGN float lanes[kLanes];
  hn::Store(rows[0], df, lanes);
  for (int64_t i = 0; i < count; ++i) to[i * stride] = lanes[i];
}

/// Packs kRows rows of a tile that has `rows` rows; `to` is their first element in the tile.
template <int kRows, class A, class T>
HWY_INLINE void pack_rows(const T* from, int64_t row_stride, int64_t rows, int64_t depth,
                          Activation activation, float* to) {
  constexpr auto lanes = static_cast<int64_t>(kLanes);
  constexpr int64_t kCount = kPerElement<A> * lanes;
  V values[kRows];
  int64_t k = 0;
  for (; k + kCount <= depth; k += kCount, to += rows * lanes) {
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) {
      values[r] = load_for_tile<A>(from + r * row_stride + k, activation);
    }
    store_transposed(values, lanes, rows, to);
  }
  if (k == depth) return;
#pragma GCC unroll 4
  for (int r = 0; r < kRows; ++r) {
    values[r] = load_some_for_tile<A>(from + r * row_stride + k, depth - k, activation);
  }
  store_transposed(values, (depth - k + kPerElement<A> - 1) / kPerElement<A>, rows, to);
}

/// Packs the rows from r on: kFirst at once while at least so many are left, then fewer.
template <class A, class T, int kFirst, int... kFewer>
HWY_INLINE void pack_rows(const T* rows_begin, int64_t row_stride, int64_t rows, int64_t depth,
                          Activation activation, float* to, int64_t r,
                          std::integer_sequence<int, kFirst, kFewer...>) {
  for (; r + kFirst <= rows; r += kFirst) {
    pack_rows<kFirst, A>(rows_begin + r * row_stride, row_stride, rows, depth, activation, to + r);
  }
  if constexpr (sizeof...(kFewer) > 0) {
    pack_rows<A>(rows_begin, row_stride, rows, depth, activation, to, r,
                 std::integer_sequence<int, kFewer...>());
  }
}

#if HWY_ARCH_ARM_A64
/// Packs one tile of A in groups: tile[k][r] = row(r)[4·k … 4·k + 3] of `depth` elements, with
/// zeros behind them.
HWY_INLINE void pack_tile(const BFloat* rows_begin, int64_t row_stride, int64_t rows, int64_t depth,
                          Activation activation, BFloatGroup* tile) {
  static_assert(kBFloatGroup == kLanes);
  for (int64_t r = 0; r < rows; ++r, rows_begin += row_stride) {
    auto* to = reinterpret_cast<BFloat*>(tile + r);
    int64_t k = 0;
    for (; k + kBFloatGroup <= depth; k += kBFloatGroup, to += rows * kBFloatGroup) {
      if (activation == Activation::kNone) {
        std::memcpy(to, rows_begin + k, sizeof(BFloatGroup));
      } else {
        store(activate(activation, load(rows_begin + k)), to);
      }
    }
    if (k == depth) continue;
    BFloat last[kBFloatGroup] = {};
    std::memcpy(last, rows_begin + k, static_cast<size_t>(depth - k) * sizeof(BFloat));
    store(activate(activation, load(last)), to);
  }
}
#endif

/// Packs one tile of A: tile[k][r] = row(r)[k] of `depth` elements, a pair of them if A is a pair.
template <class A, class T>
HWY_INLINE void pack_tile(const T* rows_begin, int64_t row_stride, int64_t rows, int64_t depth,
                          Activation activation, A* tile) {
  pack_rows<A>(rows_begin, row_stride, rows, depth, activation, reinterpret_cast<float*>(tile), 0,
               RowsAtOnce());
}

}  // namespace latte::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // LATTE_CPU_PACK_INL_H_
