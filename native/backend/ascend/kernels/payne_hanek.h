/* Reduces a float32 argument of any size modulo pi/2 by integer arithmetic, on the scalar unit: the
 * vector unit's subtraction in three pieces is exact only up to LATTE_DIRECT_ARGUMENT. */
#ifndef LATTE_KERNELS_PAYNE_HANEK_H
#define LATTE_KERNELS_PAYNE_HANEK_H

#include "kernel_operator.h"

namespace latte_kernel {

/// pi/2 * 2^-31: from 31-bit fractions of a quarter turn to radians.
constexpr float kQuarterTurn = 0x1.921fb6p-31f;

struct Reduced {
  // True if x was not reduced, because |x| is small or x is not finite: kept_bits holds x, or NaN.
  bool kept;
  uint32_t kept_bits;  // the bits of a float32
  int32_t fraction;    // in quarter turns, times 2^31: -2^30 ... 2^30
  int32_t quarter;     // 0 ... 3
};

/// 2/pi in binary, most significant word first, after one word of zeros; zeros follow.
struct TwoOverPi {
  static constexpr uint32_t kWords = 8;
  uint32_t words[kWords + 1];

  template <class Tiling>
  __aicore__ inline void set(const Tiling& tiling) {
    words[0] = 0;
    words[1] = tiling.two_over_pi_1;
    words[2] = tiling.two_over_pi_2;
    words[3] = tiling.two_over_pi_3;
    words[4] = tiling.two_over_pi_4;
    words[5] = tiling.two_over_pi_5;
    words[6] = tiling.two_over_pi_6;
    words[7] = tiling.two_over_pi_7;
    words[8] = tiling.two_over_pi_8;
  }
  __aicore__ inline uint64_t word(uint32_t index) const {
    return index <= kWords ? words[index] : 0;
  }
  __aicore__ inline uint64_t bits(uint32_t index, uint32_t shift) const {
    const uint64_t pair = (word(index) << 32) | word(index + 1);
    return (pair >> (32 - shift)) & 0xffffffffu;
  }
};

/// |x| = m * 2^e with a 24-bit m. Bits of 2/pi that make whole turns are skipped, the next 96 are
/// multiplied with m: the highest two bits of the product are the quarter, the rest its fraction.
__aicore__ inline Reduced reduce_far(const TwoOverPi& two_over_pi, uint32_t bits) {
  Reduced result{false, 0, 0, 0};
  const uint32_t magnitude = bits & 0x7fffffffu;
  const bool negative = (bits >> 31) != 0;
  if (magnitude >= 0x7f800000u) {  // infinite or NaN
    result.kept = true;
    result.kept_bits = 0x7fc00000u;
    return result;
  }
  if (magnitude < 0x3f400000u) {  // below 0.75
    result.kept = true;
    result.kept_bits = bits;
    return result;
  }
  const uint64_t mantissa = (magnitude & 0x7fffffu) | 0x800000u;
  // e - 2 bits of 2/pi are skipped, after the word of zeros; e = exponent - 150 >= -24.
  const uint32_t skipped = (magnitude >> 23) - 150 - 2 + 32;
  const uint32_t word = skipped / 32, shift = skipped % 32;
  const uint64_t high = two_over_pi.bits(word, shift);
  const uint64_t middle = two_over_pi.bits(word + 1, shift);
  const uint64_t low = two_over_pi.bits(word + 2, shift);
  uint64_t product = ((mantissa * high) << 32) + mantissa * middle + ((mantissa * low) >> 32);
  if (negative) product = 0 - product;
  const uint64_t rounded = product + (uint64_t{1} << 61);
  result.quarter = static_cast<int32_t>(rounded >> 62);
  // 31 bits of the fraction, rounded down from 62.
  const int64_t fraction = static_cast<int64_t>((rounded & ((uint64_t{1} << 62) - 1))) -
                           static_cast<int64_t>(uint64_t{1} << 61);
  result.fraction = static_cast<int32_t>(fraction >> 31);
  return result;
}

}  // namespace latte_kernel

#endif
