#include "backend/cpu/simd/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/convert.cc"
#include "hwy/foreach_target.h"
#include "backend/cpu/simd/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace latte::cpu::HWY_NAMESPACE {

template <class From, class To>
void convert_elements(const From* from, To* to, int64_t count) {
  constexpr auto lanes = static_cast<int64_t>(kLanes);
  int64_t i = 0;
  for (; i + lanes <= count; i += lanes) store(load(from + i), to + i);
  if (i < count) {
    const auto rest = static_cast<size_t>(count - i);
    store_some(load_some(from + i, rest), to + i, rest);
  }
}

/// From any layer dtype to any other, with vectors.
void convert_floats(const void* from, DType from_dtype, void* to, DType to_dtype, int64_t count) {
  with_layer_type(from_dtype, [&](auto from_tag) {
    with_layer_type(to_dtype, [&](auto to_tag) {
      convert_elements(static_cast<const decltype(from_tag)*>(from),
                       static_cast<decltype(to_tag)*>(to), count);
    });
  });
}

}  // namespace latte::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "backend/cpu/convert.h"
#include "backend/cpu/simd/select-inl.h"

namespace latte::cpu {

namespace {

template <class T>
T to_integer(double value) {
  if (std::isnan(value)) return 0;
  if (value <= static_cast<double>(std::numeric_limits<T>::min()))
    return std::numeric_limits<T>::min();
  // As a double, int64's max() rounds up to 2^63: every value that is not below it is out of range.
  if (value >= static_cast<double>(std::numeric_limits<T>::max()))
    return std::numeric_limits<T>::max();
  return static_cast<T>(value);
}

// Conversions through float64, for the pairs of dtypes that need not be fast.

/// Element i as float64. This is exact for all dtypes except int64, which convert() treats apart.
double as_double(const void* from, DType dtype, int64_t i) {
  switch (dtype) {
    case DType::kFloat64:
      return static_cast<const double*>(from)[i];
    case DType::kFloat32:
      return static_cast<double>(static_cast<const float*>(from)[i]);
    case DType::kFloat16:
      return static_cast<double>(half_to_float(static_cast<const uint16_t*>(from)[i]));
    case DType::kBFloat16:
      return static_cast<double>(bfloat_to_float(static_cast<const uint16_t*>(from)[i]));
    case DType::kInt32:
      return static_cast<double>(static_cast<const int32_t*>(from)[i]);
    case DType::kInt64:
      return static_cast<double>(static_cast<const int64_t*>(from)[i]);
  }
  return 0;
}

/// Writes `value` as element i, rounded once.
void put(double value, void* to, DType dtype, int64_t i) {
  switch (dtype) {
    case DType::kFloat64:
      static_cast<double*>(to)[i] = value;
      return;
    case DType::kFloat32:
      static_cast<float*>(to)[i] = static_cast<float>(value);
      return;
    case DType::kFloat16:
      static_cast<uint16_t*>(to)[i] = float_to_half(double_to_float_odd(value));
      return;
    case DType::kBFloat16:
      static_cast<uint16_t*>(to)[i] = float_to_bfloat(double_to_float_odd(value));
      return;
    case DType::kInt32:
      static_cast<int32_t*>(to)[i] = to_integer<int32_t>(value);
      return;
    case DType::kInt64:
      static_cast<int64_t*>(to)[i] = to_integer<int64_t>(value);
      return;
  }
}

/// A double that rounds to each narrower dtype as `value` itself does. From 2^53 on, where a double
/// cannot hold every integer, it is the odd one of the two neighbours.
double int64_to_double_odd(int64_t value) {
  const auto nearest = static_cast<double>(value);
  if (std::fabs(nearest) < 0x1p53 || nearest == 0x1p63) {
    return nearest == 0x1p63 ? std::nextafter(nearest, 0.0) : nearest;
  }
  const auto back = static_cast<int64_t>(nearest);
  uint64_t bits;
  std::memcpy(&bits, &nearest, sizeof bits);
  if (back == value || (bits & 1)) return nearest;
  return std::nextafter(nearest, back < value ? std::numeric_limits<double>::infinity()
                                              : -std::numeric_limits<double>::infinity());
}

}  // namespace

void convert(const void* from, DType from_dtype, void* to, DType to_dtype, int64_t count) {
  if (count == 0) return;
  if (from_dtype == to_dtype) {
    std::memcpy(to, from, static_cast<size_t>(count) * item_size(to_dtype));
    return;
  }
  if (is_layer_dtype(from_dtype) && is_layer_dtype(to_dtype)) {
    static const auto kernel = LATTE_SELECT(convert_floats);
    kernel(from, from_dtype, to, to_dtype, count);
    return;
  }
  if (from_dtype == DType::kInt64) {
    const auto* source = static_cast<const int64_t*>(from);
    for (int64_t i = 0; i < count; ++i) {
      if (to_dtype == DType::kInt32) {
        static_cast<int32_t*>(to)[i] = static_cast<int32_t>(std::clamp<int64_t>(
            source[i], std::numeric_limits<int32_t>::min(), std::numeric_limits<int32_t>::max()));
      } else if (to_dtype == DType::kFloat64) {
        static_cast<double*>(to)[i] = static_cast<double>(source[i]);
      } else {
        put(int64_to_double_odd(source[i]), to, to_dtype, i);
      }
    }
    return;
  }
  for (int64_t i = 0; i < count; ++i) put(as_double(from, from_dtype, i), to, to_dtype, i);
}

}  // namespace latte::cpu
#endif  // HWY_ONCE
