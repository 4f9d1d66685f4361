#include "backend/cpu/linear_weights.h"

#include <algorithm>
#include <atomic>
#include <cstring>

#include "backend/cpu/convert.h"
#include "backend/cpu/simd/bfloat_dot.h"
#include "backend/cpu/simd/element.h"
#include "core/byte_count.h"

namespace latte::cpu {

namespace {

/// How many neighbours along K lie side by side in a panel.
int64_t neighbours(DType dtype) { return dtype == DType::kBFloat16 ? bfloat_neighbours() : 1; }

/// `depth` rounded up to whole groups of neighbours.
int64_t packed_depth(int64_t depth, int64_t neighbours) {
  return (depth + neighbours - 1) / neighbours * neighbours;
}

/// Packs weight [out, in] into panels (see CpuLinearWeights).
template <int64_t kNeighbours, class T>
void pack(const T* weight, int64_t out, int64_t in, int64_t panel, T* panels) {
  for (int64_t first = 0; first < out; first += panel) {
    const int64_t columns = std::min(panel, out - first);
    for (int64_t k = 0; k < in; k += kNeighbours) {
      for (int64_t c = 0; c < panel; ++c) {
        for (int64_t i = k; i < k + kNeighbours; ++i) {
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
  const int64_t side_by_side = neighbours(dtype);
  packed->panels = system::memory_pool().allocate(
      byte_count(item_size(dtype), padded, packed_depth(in, side_by_side)));
  with_layer_type(dtype, [&](auto tag) {
    using T = decltype(tag);
    const auto kernel = side_by_side == 1   ? pack<1, T>
                        : side_by_side == 2 ? pack<2, T>
                                            : pack<4, T>;
    kernel(static_cast<const T*>(source), out, in, panel, static_cast<T*>(packed->panels.data()));
  });

  packed->bias.resize(static_cast<size_t>(padded), 0.0f);
  if (bias != nullptr) {
    std::vector<char> rounded(static_cast<size_t>(out) * item_size(dtype));
    convert(bias->data, bias->dtype, rounded.data(), dtype, out);
    convert(rounded.data(), dtype, packed->bias.data(), DType::kFloat32, out);
  }
  return packed;
}

uint64_t CpuLinearWeights::next_id() {
  static std::atomic<uint64_t> last{0};
  return last.fetch_add(1, std::memory_order_relaxed) + 1;
}

void CpuLinearWeights::unpack(void* weight, void* bias_out) const {
  with_layer_type(dtype, [&](auto tag) {
    using T = decltype(tag);
    const auto* from = static_cast<const T*>(panels.data());
    auto* to = static_cast<T*>(weight);
    const int64_t side_by_side = neighbours(dtype);
    for (int64_t row = 0; row < out_features; ++row) {
      const T* column = from + row / panel * packed_depth(in_features, side_by_side) * panel +
                        row % panel * side_by_side;
      for (int64_t k = 0; k < in_features; ++k) {
        *to++ = column[k / side_by_side * side_by_side * panel + k % side_by_side];
      }
    }
  });
  if (has_bias) convert(bias.data(), DType::kFloat32, bias_out, dtype, out_features);
}

}  // namespace latte::cpu
