#include "backend/cpu/linear_weights.h"

#include <algorithm>
#include <cstring>

#include "backend/cpu/convert.h"
#include "backend/cpu/simd/element.h"
#include "core/byte_count.h"

namespace latte::cpu {

namespace {

/// How many neighbours along K lie side by side in a panel.
template <class T>
constexpr int64_t kNeighbours = std::is_same_v<T, BFloat> ? 2 : 1;

/// The depth of a panel: `depth`, rounded up to whole pairs in bfloat16.
int64_t packed_depth(DType dtype, int64_t depth) {
  return dtype == DType::kBFloat16 ? (depth + 1) / 2 * 2 : depth;
}

/// Packs weight [out, in] into panels (see CpuLinearWeights).
template <class T>
void pack(const T* weight, int64_t out, int64_t in, int64_t panel, T* panels) {
  for (int64_t first = 0; first < out; first += panel) {
    const int64_t columns = std::min(panel, out - first);
    for (int64_t k = 0; k < in; k += kNeighbours<T>) {
      for (int64_t c = 0; c < panel; ++c) {
        for (int64_t i = k; i < k + kNeighbours<T>; ++i) {
          *panels++ = c < columns && i < in ? weight[(first + c) * in + i] : T{};
        }
      }
    }
  }
}

}  // namespace

std::shared_ptr<const LinearWeights> pack_linear(const TensorView& weight, const TensorView* bias,
                                                 DType dtype) {
  auto packed = std::make_shared<CpuLinearWeights>();
  packed->out_features = weight.shape[0];
  packed->in_features = weight.shape[0] == 0 ? 0 : weight.size() / weight.shape[0];
  packed->dtype = dtype;
  packed->has_bias = bias != nullptr;
  packed->panel = panel_width();
  const int64_t out = packed->out_features, in = packed->in_features, panel = packed->panel;
  const int64_t padded = (out + panel - 1) / panel * panel;

  system::Memory converted;
  const void* source = weight.data;
  if (weight.dtype != dtype) {
    converted = system::memory_pool().allocate(byte_count(item_size(dtype), out, in));
    convert(weight.data, weight.dtype, converted.data(), dtype, out * in);
    source = converted.data();
  }
  packed->panels =
      system::memory_pool().allocate(byte_count(item_size(dtype), padded, packed_depth(dtype, in)));
  with_layer_type(dtype, [&](auto tag) {
    using T = decltype(tag);
    pack(static_cast<const T*>(source), out, in, panel, static_cast<T*>(packed->panels.data()));
  });

  packed->bias.resize(static_cast<size_t>(padded), 0.0f);
  if (bias != nullptr) {
    std::vector<char> rounded(static_cast<size_t>(out) * item_size(dtype));
    convert(bias->data, bias->dtype, rounded.data(), dtype, out);
    convert(rounded.data(), dtype, packed->bias.data(), DType::kFloat32, out);
  }
  return packed;
}

void CpuLinearWeights::unpack(void* weight, void* bias_out) const {
  with_layer_type(dtype, [&](auto tag) {
    using T = decltype(tag);
    const auto* from = static_cast<const T*>(panels.data());
    auto* to = static_cast<T*>(weight);
    for (int64_t row = 0; row < out_features; ++row) {
      const T* column = from + row / panel * packed_depth(dtype, in_features) * panel +
                        row % panel * kNeighbours<T>;
      for (int64_t k = 0; k < in_features; ++k) {
        *to++ = column[k / kNeighbours<T> * kNeighbours<T> * panel + k % kNeighbours<T>];
      }
    }
  });
  if (has_bias) convert(bias.data(), DType::kFloat32, bias_out, dtype, out_features);
}

}  // namespace latte::cpu
