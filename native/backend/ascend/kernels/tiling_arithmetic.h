// Arithmetic of the tilings, in whole numbers that are not negative.
#pragma once

#include <cstdint>
#include <limits>

namespace latte::ascend {

/// The largest value of a tiling's field.
constexpr int64_t kFieldLimit = std::numeric_limits<uint32_t>::max();

constexpr int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
/// The multiple of b next to a: not below it, or not above it.
constexpr int64_t round_up(int64_t a, int64_t b) { return ceil_div(a, b) * b; }
constexpr int64_t round_down(int64_t a, int64_t b) { return a / b * b; }

}  // namespace latte::ascend
