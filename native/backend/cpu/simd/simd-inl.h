// Vectors of float32 over memory of any layer dtype, and the activations. Compiled once for each
// instruction set.

#if defined(LATTE_CPU_SIMD_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef LATTE_CPU_SIMD_INL_H_
#undef LATTE_CPU_SIMD_INL_H_
#else
#define LATTE_CPU_SIMD_INL_H_
#endif

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "backend/backend.h"
#include "backend/cpu/simd/element.h"
#include "hwy/cache_control.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace latte::cpu::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

using F32 = hn::ScalableTag<float>;
using V = hn::Vec<F32>;
constexpr F32 df;
constexpr size_t kLanes = hn::MaxLanes(F32());

// Whether the target converts float16 in hardware, which rounds to nearest even. Other targets do
// the same with integers.
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX2 || HWY_ARCH_ARM_A64
constexpr bool kHasFloat16 = true;
#else
constexpr bool kHasFloat16 = false;
#endif

using U32 = hn::RebindToUnsigned<F32>;
using U16 = hn::Rebind<uint16_t, F32>;
constexpr U32 du;

HWY_INLINE V load(const float* from) { return hn::LoadU(df, from); }

HWY_INLINE V load(const BFloat* from) {
  const auto bits = hn::LoadU(U16(), reinterpret_cast<const uint16_t*>(from));
  return hn::BitCast(df, hn::ShiftLeft<16>(hn::PromoteTo(du, bits)));
}

/// The even or the odd elements of 2·kLanes neighbours.
HWY_INLINE V load_even(const BFloat* from) {
  const auto pairs = hn::LoadU(du, reinterpret_cast<const uint32_t*>(from));
  return hn::BitCast(df, hn::ShiftLeft<16>(pairs));
}
HWY_INLINE V load_odd(const BFloat* from) {
  const auto pairs = hn::LoadU(du, reinterpret_cast<const uint32_t*>(from));
  return hn::BitCast(df, hn::And(pairs, hn::Set(du, 0xFFFF0000)));
}

HWY_INLINE V load(const Half* from) {
  const auto bits = hn::LoadU(U16(), reinterpret_cast<const uint16_t*>(from));
  if constexpr (kHasFloat16) {
    return hn::PromoteTo(df, hn::BitCast(hn::Rebind<hwy::float16_t, F32>(), bits));
  } else {
    const auto wide = hn::PromoteTo(du, bits);
    const auto magnitude = hn::ShiftLeft<13>(hn::And(wide, hn::Set(du, 0x7FFF)));
    // Scaling by 2^112 moves the exponent and makes subnormals normal, both exactly.
    const auto finite = hn::Mul(hn::BitCast(df, magnitude), hn::Set(df, 0x1p112f));
    const auto special = hn::Or(magnitude, hn::Set(du, 0x7F800000));
    const auto is_special = hn::Gt(hn::BitCast(hn::RebindToSigned<F32>(), magnitude),
                                   hn::Set(hn::RebindToSigned<F32>(), (0x7C00 << 13) - 1));
    const auto value =
        hn::IfThenElse(hn::RebindMask(du, is_special), special, hn::BitCast(du, finite));
    return hn::BitCast(df, hn::Or(value, hn::ShiftLeft<16>(hn::And(wide, hn::Set(du, 0x8000)))));
  }
}

/// The bits of bfloat16, rounded to nearest even (Highway 1.0.3 truncates), in the upper halves of
/// 32-bit lanes; the lower halves are undefined.
HWY_INLINE hn::Vec<U32> bfloat_high(V value) {
  const auto bits = hn::BitCast(du, value);
  const auto odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(du, 1));
  const auto rounded = hn::Add(hn::Add(bits, hn::Set(du, 0x7FFF)), odd);
  const auto nan = hn::Or(bits, hn::Set(du, 0x400000));
  return hn::IfThenElse(hn::RebindMask(du, hn::IsNaN(value)), nan, rounded);
}

/// The same in the lower halves of 32-bit lanes; the upper halves are zeros.
HWY_INLINE hn::Vec<U32> bfloat_bits(V value) { return hn::ShiftRight<16>(bfloat_high(value)); }

/// The bits of float16, rounded to nearest even, in 32-bit lanes. The steps are those of
/// float_to_half in core/dtype.cc.
HWY_INLINE hn::Vec<U32> half_bits(V value) {
  const auto bits = hn::BitCast(du, value);
  const auto sign = hn::And(hn::ShiftRight<16>(bits), hn::Set(du, 0x8000));
  const auto magnitude = hn::And(bits, hn::Set(du, 0x7FFFFFFF));
  const hn::RebindToSigned<F32> di;
  const auto below = [&](int32_t bound) {  // magnitudes are positive as signed numbers, too
    return hn::RebindMask(du, hn::Lt(hn::BitCast(di, magnitude), hn::Set(di, bound)));
  };
  const auto odd = hn::And(hn::ShiftRight<13>(magnitude), hn::Set(du, 1));
  const auto normal = hn::ShiftRight<13>(
      hn::Sub(hn::Add(hn::Add(magnitude, hn::Set(du, 0xFFF)), odd), hn::Set(du, 112u << 23)));
  const auto sum = hn::Add(hn::BitCast(df, magnitude), hn::Set(df, 0.5f));
  const auto subnormal = hn::Sub(hn::BitCast(du, sum), hn::Set(du, 0x3F000000));
  const auto nan =
      hn::Or(hn::And(hn::ShiftRight<13>(magnitude), hn::Set(du, 0x1FF)), hn::Set(du, 0x7E00));
  auto half = hn::IfThenElse(below(0x38800000), subnormal, normal);
  half = hn::IfThenElse(below(0x477FF000), half, hn::Set(du, 0x7C00));
  half = hn::IfThenElse(below(0x7F800001), half, nan);
  return hn::Or(sign, half);
}

HWY_INLINE hn::Vec<U16> half_lanes(V value) {
  if constexpr (kHasFloat16) {
    return hn::BitCast(U16(), hn::DemoteTo(hn::Rebind<hwy::float16_t, F32>(), value));
  } else {
    return hn::TruncateTo(U16(), half_bits(value));
  }
}

HWY_INLINE void store(V value, float* to) { hn::StoreU(value, df, to); }

HWY_INLINE void store(V value, BFloat* to) {
  hn::StoreU(hn::TruncateTo(U16(), bfloat_bits(value)), U16(), reinterpret_cast<uint16_t*>(to));
}

HWY_INLINE void store(V value, Half* to) {
  hn::StoreU(half_lanes(value), U16(), reinterpret_cast<uint16_t*>(to));
}

/// Stores past the caches; `to` is aligned to a vector of its type.
template <class T>
HWY_INLINE void stream(V value, T* to) {
  if constexpr (sizeof(T) == 4) {
    hn::Stream(value, df, to);
  } else if constexpr (std::is_same_v<T, BFloat>) {
    hn::Stream(hn::TruncateTo(U16(), bfloat_bits(value)), U16(), reinterpret_cast<uint16_t*>(to));
  } else {
    hn::Stream(half_lanes(value), U16(), reinterpret_cast<uint16_t*>(to));
  }
}

/// The value rounded to T.
template <class T>
HWY_INLINE V rounded(V value) {
  if constexpr (std::is_same_v<T, BFloat>) {
    return hn::BitCast(df, hn::ShiftLeft<16>(bfloat_bits(value)));
  } else if constexpr (std::is_same_v<T, Half>) {
    if constexpr (kHasFloat16) {
      return hn::PromoteTo(df, hn::DemoteTo(hn::Rebind<hwy::float16_t, F32>(), value));
    } else {
      HWY_ALIGN Half kept[kLanes];
      store(value, kept);
      return load(kept);
    }
  } else {
    return value;
  }
}

// Whether the target has a multiply-add that takes one factor from a lane of a register, as Arm
// has. Then no value needs a register of its own, nor an instruction that broadcasts it.
constexpr bool kMultipliesByLane = HWY_ARCH_ARM_A64;

/// sum + factors[kLane] · column
template <int kLane>
HWY_INLINE V multiply_add_lane(V factors, V column, V sum) {
#if HWY_ARCH_ARM_A64
  return V(vfmaq_laneq_f32(sum.raw, column.raw, factors.raw, kLane));
#else  // compiled with the others, and never called: kMultipliesByLane is false
  return hn::MulAdd(hn::Set(df, hn::ExtractLane(factors, kLane)), column, sum);
#endif
}

/// factors[kLane] · column
template <int kLane>
HWY_INLINE V multiply_lane(V factors, V column) {
#if HWY_ARCH_ARM_A64
  return V(vmulq_laneq_f32(column.raw, factors.raw, kLane));
#else  // as above
  return hn::Mul(hn::Set(df, hn::ExtractLane(factors, kLane)), column);
#endif
}

/// The values of a tile for `Steps` steps along K, [Steps][Rows], loaded as whole vectors.
template <int Rows, int Steps>
struct TileFactors {
  static constexpr int kEach = static_cast<int>(kLanes);
  static constexpr int kVectors = Steps * Rows / kEach;
  static_assert(!kMultipliesByLane || kVectors * kEach == Steps * Rows);
  V vectors[std::max(kVectors, 1)];

  explicit HWY_INLINE TileFactors(const float* HWY_RESTRICT tile) {
#pragma GCC unroll 16
    for (int i = 0; i < kVectors; ++i) {
      vectors[i] = hn::LoadU(df, tile + i * int64_t{kEach});
    }
  }

  /// sum(r) += value (Step, r) · column for each row r; sum(r) returns a reference.
  template <int Step, bool kBegin = false, class Sum>
  HWY_INLINE void multiply_add(V column, const Sum& sum) const {
    multiply_add<Step, kBegin>(column, sum, std::make_integer_sequence<int, Rows>());
  }

 private:
  template <int Step, bool kBegin, class Sum, int... kRows>
  HWY_INLINE void multiply_add(V column, const Sum& sum,
                               std::integer_sequence<int, kRows...>) const {
    (multiply_add_row<Step * Rows + kRows, kBegin>(column, sum(kRows)), ...);
  }

  template <int Index, bool kBegin>
  HWY_INLINE void multiply_add_row(V column, V& sum) const {
    const V factor = vectors[Index / kEach];
    if constexpr (kBegin) {
      sum = multiply_lane<Index % kEach>(factor, column);
    } else {
      sum = multiply_add_lane<Index % kEach>(factor, column, sum);
    }
  }
};

/// Loads or stores the first `count` lanes only, for the tail of a row. Others load as zeros.
template <class T>
HWY_INLINE V load_some(const T* from, size_t count) {
  HWY_ALIGN T lanes[kLanes] = {};
  std::memcpy(lanes, from, count * sizeof(T));
  return load(lanes);
}

template <class T>
HWY_INLINE void store_some(V value, T* to, size_t count) {
  HWY_ALIGN T lanes[kLanes];
  store(value, lanes);
  std::memcpy(to, lanes, count * sizeof(T));
}

/// e^x within about 1 ulp: x = n·ln2 + r with |r| ≤ ln2/2, and the Taylor series of e^r.
HWY_INLINE V exp(V x) {
  const V clamped = hn::Min(hn::Max(x, hn::Set(df, -104.0f)), hn::Set(df, 89.0f));
  const V n = hn::Round(hn::Mul(clamped, hn::Set(df, 1.44269504f)));
  V r = hn::NegMulAdd(n, hn::Set(df, 0x1.62e4p-1f), clamped);  // n·ln2's upper part is exact
  r = hn::NegMulAdd(n, hn::Set(df, 0x1.7f7d1cp-20f), r);
  V p = hn::Set(df, 1.0f / 5040);
  p = hn::MulAdd(p, r, hn::Set(df, 1.0f / 720));
  p = hn::MulAdd(p, r, hn::Set(df, 1.0f / 120));
  p = hn::MulAdd(p, r, hn::Set(df, 1.0f / 24));
  p = hn::MulAdd(p, r, hn::Set(df, 1.0f / 6));
  p = hn::MulAdd(p, r, hn::Set(df, 0.5f));
  p = hn::MulAdd(p, hn::Mul(r, r), r);
  p = hn::Add(p, hn::Set(df, 1.0f));
  // 2^n is multiplied in two factors: 2^n alone may be out of float32's range although e^x is not.
  const hn::RebindToSigned<F32> di;
  const auto whole = hn::ConvertTo(di, n);
  const auto half = hn::ShiftRight<1>(whole);
  const auto power = [&](hn::Vec<decltype(di)> exponent) {
    return hn::BitCast(df, hn::ShiftLeft<23>(hn::Add(exponent, hn::Set(di, 127))));
  };
  const V result = hn::Mul(hn::Mul(p, power(half)), power(hn::Sub(whole, half)));
  return hn::IfThenElse(hn::IsNaN(x), x, result);
}

HWY_INLINE V sigmoid(V x) {
  const V one = hn::Set(df, 1.0f);
  return hn::Div(one, hn::Add(one, exp(hn::Neg(x))));
}

/// x·Φ(x), one lane at a time in float64. Few models use this activation (Wan does, for an image's
/// states), so it is exact rather than fast.
HWY_INLINE V gelu_erf(V x) {
  HWY_ALIGN float lanes[kLanes];
  hn::Store(x, df, lanes);
  for (float& lane : lanes) {
    const double value = lane;
    lane = static_cast<float>(value * 0.5 * std::erfc(-value * 0.70710678118654752440));
  }
  return hn::Load(df, lanes);
}

HWY_INLINE V silu(V x) { return hn::Mul(x, sigmoid(x)); }

HWY_INLINE V gelu_tanh(V x) {
  // 0.5·(1 + tanh(u)) = sigmoid(2u)
  const V inner = hn::Mul(x, hn::MulAdd(hn::Mul(x, x), hn::Set(df, 0.044715f * 1.5957691216f),
                                        hn::Set(df, 1.5957691216f)));
  return hn::Mul(x, sigmoid(inner));
}

HWY_INLINE V relu(V x) { return hn::IfThenElse(hn::IsNaN(x), x, hn::Max(x, hn::Zero(df))); }

HWY_INLINE V mish(V x) {
  // tanh(ln(1 + e)) = e(e + 2) / (e(e + 2) + 2); from x = 20 on it is 1 in float32.
  const V e = exp(hn::Min(x, hn::Set(df, 20.0f)));
  const V n = hn::Mul(e, hn::Add(e, hn::Set(df, 2.0f)));
  const V result = hn::Mul(x, hn::Div(n, hn::Add(n, hn::Set(df, 2.0f))));
  return hn::IfThenElse(hn::IsNaN(x), x, result);
}

/// Applies the activation to each vector. The activation is chosen once for all vectors, and its
/// constants are loaded once.
template <int kCount>
HWY_INLINE void activate(Activation activation, V (&values)[kCount]) {
  const auto apply = [&](const auto& function) HWY_ATTR {
#pragma GCC unroll 16
    for (int i = 0; i < kCount; ++i) values[i] = function(values[i]);
  };
  switch (activation) {
    case Activation::kNone:
      return;
    case Activation::kSilu:
      return apply([](V x) HWY_ATTR { return silu(x); });
    case Activation::kGelu:
      return apply([](V x) HWY_ATTR { return gelu_erf(x); });
    case Activation::kGeluTanh:
      return apply([](V x) HWY_ATTR { return gelu_tanh(x); });
    case Activation::kRelu:
      return apply([](V x) HWY_ATTR { return relu(x); });
    case Activation::kMish:
      return apply([](V x) HWY_ATTR { return mish(x); });
  }
}

HWY_INLINE V activate(Activation activation, V x) {
  V values[1] = {x};
  activate(activation, values);
  return values[0];
}

}  // namespace latte::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // LATTE_CPU_SIMD_INL_H_
