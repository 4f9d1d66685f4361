// Packing rows of A into the tiles of gemm-inl.h. Compiled once a target.

#if defined(LATTE_CPU_PACK_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef LATTE_CPU_PACK_INL_H_
#undef LATTE_CPU_PACK_INL_H_
#else
#define LATTE_CPU_PACK_INL_H_
#endif

#include <algorithm>
#include <cstring>

#include "backend/cpu/bfloat_dot.h"
#include "backend/cpu/simd/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace latte::cpu::HWY_NAMESPACE {

/// How many elements of a row one element of a tile holds.
template <class A>
constexpr int64_t kPerElement = std::is_same_v<A, BFloatPair> ? 2 : 1;

/// kLanes elements of a tile from a row of which `left` elements remain; zeros where it ends.
/// Pairs travel as the bits of a float32.
template <class A, class T>
HWY_INLINE V load_for_tile(const T* from, int64_t left, Activation activation) {
  constexpr int64_t kCount = kPerElement<A> * static_cast<int64_t>(kLanes);
  HWY_ALIGN T padded[kCount] = {};
  if (left < kCount) {
    std::memcpy(padded, from, static_cast<size_t>(left) * sizeof(T));
    from = padded;
  }
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

#if HWY_TARGET == HWY_SCALAR  // Highway before 1.0.5 knows no SSE2: vectors of one lane
constexpr int kRowsAtOnce = 1;
#else
constexpr int kRowsAtOnce = 4;

/// to[i · stride + r] = lane i of rows[r], for i below `count`.
HWY_INLINE void store_transposed(const V (&rows)[4], int64_t count, int64_t stride, float* to) {
  const V lower_02 = hn::InterleaveLower(df, rows[0], rows[2]);
  const V lower_13 = hn::InterleaveLower(df, rows[1], rows[3]);
  const V upper_02 = hn::InterleaveUpper(df, rows[0], rows[2]);
  const V upper_13 = hn::InterleaveUpper(df, rows[1], rows[3]);
  // Lane i of the four rows: a block of 128 bits, block i / 4 of vector i % 4.
  HWY_ALIGN float columns[4][kLanes];
  hn::Store(hn::InterleaveLower(df, lower_02, lower_13), df, columns[0]);
  hn::Store(hn::InterleaveUpper(df, lower_02, lower_13), df, columns[1]);
  hn::Store(hn::InterleaveLower(df, upper_02, upper_13), df, columns[2]);
  hn::Store(hn::InterleaveUpper(df, upper_02, upper_13), df, columns[3]);
  for (int64_t i = 0; i < count; ++i) {
    std::memcpy(to + i * stride, &columns[i % 4][i / 4 * 4], 4 * sizeof(float));
  }
}
#endif

HWY_INLINE void store_transposed(const V (&rows)[1], int64_t count, int64_t stride, float* to) {
  HWY_ALIGN float lanes[kLanes];
  hn::Store(rows[0], df, lanes);
  for (int64_t i = 0; i < count; ++i) to[i * stride] = lanes[i];
}

template <int kRows, class A, class T>
HWY_INLINE void pack_rows(const T* from, int64_t row_stride, int64_t rows, int64_t depth,
                          Activation activation, float* to) {
  constexpr int64_t kCount = kPerElement<A> * static_cast<int64_t>(kLanes);
  for (int64_t k = 0; k < depth; k += kCount, to += rows * static_cast<int64_t>(kLanes)) {
    V values[kRows];
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) {
      values[r] = load_for_tile<A>(from + r * row_stride + k, depth - k, activation);
    }
    const int64_t elements = (depth - k + kPerElement<A> - 1) / kPerElement<A>;
    store_transposed(values, std::min<int64_t>(elements, kLanes), rows, to);
  }
}

/// Packs one tile of A: tile[k][r] = row(r)[k] of `depth` elements, a pair of them where A is one.
template <class A, class T>
HWY_INLINE void pack_tile(const T* rows_begin, int64_t row_stride, int64_t rows, int64_t depth,
                          Activation activation, A* tile) {
  auto* to = reinterpret_cast<float*>(tile);
  int64_t r = 0;
  for (; r + kRowsAtOnce <= rows; r += kRowsAtOnce) {
    pack_rows<kRowsAtOnce, A>(rows_begin + r * row_stride, row_stride, rows, depth, activation,
                              to + r);
  }
  for (; r < rows; ++r) {
    pack_rows<1, A>(rows_begin + r * row_stride, row_stride, rows, depth, activation, to + r);
  }
}

}  // namespace latte::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // LATTE_CPU_PACK_INL_H_
