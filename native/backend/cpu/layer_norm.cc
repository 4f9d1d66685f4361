#include "backend/cpu/simd/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/layer_norm.cc"
#include "hwy/foreach_target.h"
#include "backend/cpu/simd/norm-inl.h"
#include "backend/cpu/operations.h"

HWY_BEFORE_NAMESPACE();
namespace latte::cpu::HWY_NAMESPACE {

/// The affine parameters, [dim] each; null: 1 and 0.
struct Affine {
  const float* weight = nullptr;
  const float* bias = nullptr;
};

/// Normalises the rows of x [rows, dim] in place. `row` is scratch memory for one row of floats.
/// @tparam kAffine whether there is a weight or a bias.
template <bool kAffine, class T>
void normalise_rows(T* x, int64_t rows, int64_t dim, Affine affine, double epsilon, float* row) {
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
      V value = hn::Mul(hn::Sub(load_some(row + k, count), mean), scale);
      if constexpr (kAffine) {
        if (affine.weight != nullptr) value = hn::Mul(value, load_some(affine.weight + k, count));
        if (affine.bias != nullptr) value = hn::Add(value, load_some(affine.bias + k, count));
      }
      store_some(value, x + k, count);
    });
  }
}

void layer_norm_kernel(const LayerNormArgs& args, Context& context) {
  const auto floats = [](const std::optional<TensorView>& tensor) {
    return tensor ? static_cast<const float*>(tensor->data) : nullptr;
  };
  const Affine affine{floats(args.weight), floats(args.bias)};
  const int64_t dim = args.x.shape.back();
  const int64_t rows = args.x.size() / dim;
  auto* row = context.scratch<float>(dim);
  with_layer_type(args.x.dtype, [&](auto tag) {
    auto* x = static_cast<decltype(tag)*>(args.x.data);
    if (affine.weight != nullptr || affine.bias != nullptr) {
      normalise_rows<true>(x, rows, dim, affine, args.epsilon, row);
    } else {
      normalise_rows<false>(x, rows, dim, affine, args.epsilon, row);
    }
  });
}

}  // namespace latte::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "backend/cpu/simd/select-inl.h"

namespace latte::cpu {

void layer_norm(const LayerNormArgs& args, Context& context) {
  if (args.x.size() == 0) return;
  static const auto kernel = LATTE_SELECT(layer_norm_kernel);
  kernel(args, context);
}

}  // namespace latte::cpu
#endif  // HWY_ONCE
