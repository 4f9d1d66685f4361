#include "backend/cpu/simd/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/layer_norm.cc"
#include "hwy/foreach_target.h"
#include "backend/cpu/simd/norm-inl.h"
#include "backend/cpu/operations.h"

HWY_BEFORE_NAMESPACE();
namespace latte::cpu::HWY_NAMESPACE {

template <class T>
void normalise_rows(T* x, int64_t rows, int64_t dim, double epsilon, float* row) {
  constexpr auto lanes = static_cast<int64_t>(kLanes);
  for (int64_t i = 0; i < rows; ++i, x += dim) {
    const auto each = [&](const auto& visit) {
      for (int64_t k = 0; k < dim; k += lanes) {
        visit(k, static_cast<size_t>(std::min(lanes, dim - k)));
      }
    };
    each([&](int64_t k, size_t count) { store_some(load_some(x + k, count), row + k, count); });
    const Moments m = moments(row, dim, epsilon);
    const V mean = hn::Set(df, m.mean), scale = hn::Set(df, m.inverse_deviation);
    each([&](int64_t k, size_t count) {
      store_some(hn::Mul(hn::Sub(load_some(row + k, count), mean), scale), x + k, count);
    });
  }
}

void layer_norm_kernel(const TensorView& x, double epsilon, Context& context) {
  const int64_t dim = x.shape.back();
  const int64_t rows = x.size() / dim;
  auto* row = context.scratch<float>(dim);
  with_layer_type(x.dtype, [&](auto tag) {
    normalise_rows(static_cast<decltype(tag)*>(x.data), rows, dim, epsilon, row);
  });
}

}  // namespace latte::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "backend/cpu/simd/select-inl.h"

namespace latte::cpu {

void layer_norm(const TensorView& x, double epsilon, Context& context) {
  if (x.size() == 0) return;
  static const auto kernel = LATTE_SELECT(layer_norm_kernel);
  kernel(x, epsilon, context);
}

}  // namespace latte::cpu
#endif  // HWY_ONCE
