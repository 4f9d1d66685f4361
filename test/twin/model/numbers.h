// Conversions with each rounding mode of the vector unit.
#pragma once

#include <cfenv>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

namespace latte::model {

enum class Round { kNearestEven, kNearestAway, kDown, kUp, kZero, kOdd };

inline double round_integer(double value, Round round) {
  switch (round) {
    case Round::kNearestEven:
      return std::nearbyint(value);
    case Round::kNearestAway:
      return std::round(value);
    case Round::kDown:
      return std::floor(value);
    case Round::kUp:
      return std::ceil(value);
    case Round::kZero:
      return std::trunc(value);
    case Round::kOdd: {
      const double down = std::floor(value);
      if (down == value) return value;
      return std::fmod(down, 2) == 0 ? down + 1 : down;
    }
  }
  return value;
}

/// Converts with saturation, as the vector unit does; NaN becomes 0.
inline int32_t to_int32(float value, Round round) {
  if (std::isnan(value)) return 0;
  const double rounded = round_integer(value, round);
  if (rounded >= 2147483647.0) return std::numeric_limits<int32_t>::max();
  if (rounded <= -2147483648.0) return std::numeric_limits<int32_t>::min();
  return static_cast<int32_t>(rounded);
}

/// Rounds to `digits` significant bits; `smallest` is the exponent of the smallest normal number.
inline double round_to_digits(float value, int digits, int smallest, Round round) {
  int exponent = 0;
  std::frexp(value, &exponent);
  const int unit = std::max(exponent - digits, smallest - digits + 1);
  return std::ldexp(round_integer(std::ldexp(static_cast<double>(value), -unit), round), unit);
}

inline uint16_t to_half(float value, Round round) {
  uint32_t bits = 0;
  std::memcpy(&bits, &value, 4);
  const auto sign = static_cast<uint16_t>((bits >> 16) & 0x8000);
  if (std::isnan(value)) return static_cast<uint16_t>(sign | 0x7e00);
  const double rounded = std::fabs(round_to_digits(value, 11, -14, round));
  if (rounded >= 65536.0) return static_cast<uint16_t>(sign | 0x7c00);
  if (rounded < std::ldexp(1.0, -14)) {
    return static_cast<uint16_t>(sign | static_cast<uint16_t>(std::ldexp(rounded, 24)));
  }
  int exponent = 0;
  const double fraction = std::frexp(rounded, &exponent);
  const auto mantissa = static_cast<uint16_t>(std::ldexp(fraction, 11)) & 0x3ff;
  return static_cast<uint16_t>(sign | ((exponent + 14) << 10) | mantissa);
}

inline float from_half(uint16_t bits) {
  const int exponent = (bits >> 10) & 31;
  const int mantissa = bits & 0x3ff;
  float value = 0;
  if (exponent == 31) {
    value =
        mantissa ? std::numeric_limits<float>::quiet_NaN() : std::numeric_limits<float>::infinity();
  } else if (exponent == 0) {
    value = std::ldexp(static_cast<float>(mantissa), -24);
  } else {
    value = std::ldexp(static_cast<float>(mantissa | 0x400), exponent - 25);
  }
  return bits & 0x8000 ? -value : value;
}

inline uint16_t to_bfloat(float value, Round round) {
  if (std::isnan(value)) return 0x7fc0;
  const auto rounded = static_cast<float>(round_to_digits(value, 8, -126, round));
  uint32_t bits = 0;
  std::memcpy(&bits, &rounded, 4);
  uint32_t sign = 0;
  std::memcpy(&sign, &value, 4);
  return static_cast<uint16_t>((bits >> 16) | ((sign >> 16) & 0x8000));
}

inline float from_bfloat(uint16_t bits) {
  const uint32_t wide = static_cast<uint32_t>(bits) << 16;
  float value = 0;
  std::memcpy(&value, &wide, 4);
  return value;
}

}  // namespace latte::model
