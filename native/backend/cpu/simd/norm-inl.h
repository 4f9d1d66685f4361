// Normalising one row. Compiled once for each instruction set.

#if defined(LATTE_CPU_NORM_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef LATTE_CPU_NORM_INL_H_
#undef LATTE_CPU_NORM_INL_H_
#else
#define LATTE_CPU_NORM_INL_H_
#endif

#include "backend/cpu/simd/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace latte::cpu::HWY_NAMESPACE {

struct Moments {
  float mean;
  float inverse_deviation;
};

/// Mean and 1/√(variance + epsilon) of a float32 row. The variance is the mean square of the
/// centred values, which does not cancel.
HWY_INLINE Moments moments(const float* row, int64_t dim, double epsilon) {
  constexpr auto lanes = static_cast<int64_t>(kLanes);
  const auto sum = [&](const auto& term) HWY_ATTR {
    // Four independent sums hide the latency of an addition.
    V totals[4] = {hn::Zero(df), hn::Zero(df), hn::Zero(df), hn::Zero(df)};
    int64_t i = 0;
    for (; i + 4 * lanes <= dim; i += 4 * lanes) {
#pragma GCC unroll 4
      for (int part = 0; part < 4; ++part) {
        totals[part] = hn::Add(totals[part], term(hn::LoadU(df, row + i + part * lanes)));
      }
    }
    for (; i + lanes <= dim; i += lanes) {
      totals[0] = hn::Add(totals[0], term(hn::LoadU(df, row + i)));
    }
    float rest = 0;
    for (; i < dim; ++i) rest += hn::GetLane(term(hn::Set(df, row[i])));
    const V total = hn::Add(hn::Add(totals[0], totals[1]), hn::Add(totals[2], totals[3]));
    return hn::GetLane(hn::SumOfLanes(df, total)) + rest;
  };
  const auto count = static_cast<float>(dim);
  const float mean = sum([](V x) { return x; }) / count;
  const V centre = hn::Set(df, mean);
  const float variance = sum([&](V x) {
                           const V distance = hn::Sub(x, centre);
                           return hn::Mul(distance, distance);
                         }) /
                         count;
  return {mean, 1.0f / std::sqrt(variance + static_cast<float>(epsilon))};
}

}  // namespace latte::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // LATTE_CPU_NORM_INL_H_
