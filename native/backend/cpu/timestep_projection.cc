#include "backend/cpu/simd/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/timestep_projection.cc"
#include "hwy/foreach_target.h"
#include "backend/cpu/operations.h"
#include "backend/cpu/simd/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace latte::cpu::HWY_NAMESPACE {

using F64 = hn::ScalableTag<double>;
using HalfF32 = hn::Rebind<float, F64>;
constexpr F64 dd;
constexpr HalfF32 dh;
using D = hn::Vec<F64>;

// For arguments up to this one the product of k with the first 33 bits of π/2 is exact in float64,
// with or without a fused multiply-add.
constexpr float kReducible = 1e6f;

/// c_i = (−1)^i / (first + 2i)!: the Taylor series of sin r / r (first = 1) and cos r (first = 0).
template <int kTerms>
struct Series {
  double coefficients[kTerms];
  constexpr explicit Series(int first) : coefficients() {
    double factorial = 1;
    for (int i = 0; i < kTerms; ++i) {
      coefficients[i] = (i % 2 == 0 ? 1.0 : -1.0) / factorial;
      factorial *= (first + 2 * i + 1) * (first + 2 * i + 2);
    }
  }
  HWY_INLINE D operator()(D z) const {
    D sum = hn::Set(dd, coefficients[kTerms - 1]);
#pragma GCC unroll 16
    for (int i = kTerms - 2; i >= 0; --i) sum = hn::MulAdd(sum, z, hn::Set(dd, coefficients[i]));
    return sum;
  }
};
constexpr Series<8> sine_series(1);
constexpr Series<9> cosine_series(0);

/// Sines and cosines of one vector of float32 arguments, computed in float64 and rounded once. An
/// argument is k·π/2 + r with |r| ≤ π/4; π/2 is subtracted in three parts (Cody and Waite).
HWY_INLINE void sincos(const float* arguments, float* sines, float* cosines) {
  const D x = hn::PromoteTo(dd, hn::LoadU(dh, arguments));
  const D k = hn::Round(hn::Mul(x, hn::Set(dd, 0.63661977236758134308)));
  D r = hn::NegMulAdd(k, hn::Set(dd, 0x1.921fb544p+0), x);
  r = hn::NegMulAdd(k, hn::Set(dd, 0x1.0b4611a6p-34), r);
  r = hn::NegMulAdd(k, hn::Set(dd, 0x1.3198a2e037073p-69), r);
  const D z = hn::Mul(r, r);
  const D sine = hn::Mul(r, sine_series(z));
  const D cosine = cosine_series(z);
  // k mod 4 is the number of quarter turns by which (sine, cosine) of r are rotated.
  const D quarter = hn::NegMulAdd(hn::Floor(hn::Mul(k, hn::Set(dd, 0.25))), hn::Set(dd, 4.0), k);
  const auto is = [&](double number) { return hn::Eq(quarter, hn::Set(dd, number)); };
  const auto swapped = hn::Or(is(1), is(3));
  D turned_sine = hn::IfThenElse(swapped, cosine, sine);
  D turned_cosine = hn::IfThenElse(swapped, sine, cosine);
  turned_sine = hn::IfThenElse(hn::Or(is(2), is(3)), hn::Neg(turned_sine), turned_sine);
  turned_cosine = hn::IfThenElse(hn::Or(is(1), is(2)), hn::Neg(turned_cosine), turned_cosine);
  hn::StoreU(hn::DemoteTo(dh, turned_sine), dh, sines);
  hn::StoreU(hn::DemoteTo(dh, turned_cosine), dh, cosines);
}

/// Writes one row of the output. The last three point to scratch memory for dim/2 floats each,
/// rounded up to whole vectors.
template <class T>
void project(const TimestepProjectionArgs& args, int64_t row, float* sines, float* cosines,
             float* arguments) {
  const Sinusoids& sinusoids = *args.sinusoids;
  const int64_t dim = sinusoids.dim, half = dim / 2;
  constexpr auto lanes = static_cast<int64_t>(hn::MaxLanes(F64()));
  const float timestep = static_cast<const float*>(args.timesteps.data)[row];
  bool reducible = true;
  for (int64_t i = 0; i < half; ++i) {
    // The order of these float32 operations is the reference's: it decides how they round.
    const float argument =
        sinusoids.scale * (timestep * sinusoids.frequencies[static_cast<size_t>(i)]);
    arguments[i] = argument;
    reducible = reducible && std::fabs(argument) <= kReducible;  // false for NaN, too
  }
  if (reducible) {
    for (int64_t i = 0; i < half; i += lanes) sincos(arguments + i, sines + i, cosines + i);
  } else {
    for (int64_t i = 0; i < half; ++i) {
      sines[i] = static_cast<float>(std::sin(static_cast<double>(arguments[i])));
      cosines[i] = static_cast<float>(std::cos(static_cast<double>(arguments[i])));
    }
  }
  T* to = static_cast<T*>(args.output.data) + row * dim;
  const auto copy = [&](const float* from) {
    for (int64_t i = 0; i < half; i += static_cast<int64_t>(kLanes)) {
      const auto count = static_cast<size_t>(std::min<int64_t>(kLanes, half - i));
      store_some(load_some(from + i, count), to + i, count);
    }
    to += half;
  };
  copy(sinusoids.flip_sin_to_cos ? cosines : sines);
  copy(sinusoids.flip_sin_to_cos ? sines : cosines);
  if (dim % 2 == 1) *to = T{};
}

void timestep_projection_kernel(const TimestepProjectionArgs& args, Context& context) {
  const int64_t dim = args.sinusoids->dim, half = (dim / 2 + 15) / 16 * 16;
  const int64_t rows = args.count();
  const int threads = Context::threads_for(static_cast<double>(rows * dim) * 2);
  const int64_t tasks = threads == 1 ? 1 : std::min<int64_t>(rows, int64_t{4} * threads);
  auto* scratch = context.scratch<float>(tasks * half * 3);
  std::fill(scratch, scratch + tasks * half * 3, 0.0f);
  with_layer_type(args.output.dtype, [&](auto tag) {
    context.parallel_for(tasks, threads, [&](int64_t task) {
      float* mine = scratch + task * half * 3;
      for (int64_t row = rows * task / tasks; row < rows * (task + 1) / tasks; ++row) {
        project<decltype(tag)>(args, row, mine, mine + half, mine + 2 * half);
      }
    });
  });
}

}  // namespace latte::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "backend/cpu/simd/select-inl.h"

namespace latte::cpu {

void timestep_projection(const TimestepProjectionArgs& args, Context& context) {
  if (args.count() == 0 || args.sinusoids->dim == 0) return;
  static const auto kernel = LATTE_SELECT(timestep_projection_kernel);
  kernel(args, context);
}

}  // namespace latte::cpu
#endif  // HWY_ONCE
