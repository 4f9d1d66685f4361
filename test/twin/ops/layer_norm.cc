// aclnnLayerNorm.
#include <array>
#include <cmath>

#include "ops/operation.h"

using namespace latte::twin;

namespace latte::ascend {

namespace {

/// As the vector unit adds: 64 lanes side by side, then their sums.
template <class Value>
float lane_sum(size_t count, Value value) {
  std::array<float, 64> lanes{};
  for (size_t i = 0; i < count; ++i) lanes[i % lanes.size()] += value(i);
  for (size_t width = lanes.size() / 2; width > 0; width /= 2) {
    for (size_t i = 0; i < width; ++i) lanes[i] += lanes[i + width];
  }
  return lanes[0];
}

void normalise(float* row, size_t width, float epsilon) {
  const auto count = static_cast<float>(width);
  const float mean = lane_sum(width, [&](size_t i) { return row[i]; }) / count;
  const float variance =
      lane_sum(width, [&](size_t i) { return (row[i] - mean) * (row[i] - mean); }) / count;
  const float scale = 1.0f / std::sqrt(variance + epsilon);
  for (size_t i = 0; i < width; ++i) row[i] = (row[i] - mean) * scale;
}

}  // namespace

extern "C" {

aclnnStatus aclnnLayerNormGetWorkspaceSize(const aclTensor* input,
                                           const aclIntArray* normalized_shape,
                                           const aclTensor* weight, const aclTensor* bias,
                                           double epsilon, aclTensor* out, aclTensor* mean,
                                           aclTensor* rstd, uint64_t* bytes,
                                           aclOpExecutor** executor) {
  return first_call("aclnnLayerNorm", bytes, executor, [&](Call& call) {
    const View& x = call.input(input, "input");
    const View& y = call.output(out, "out");
    // Optional by the documentation; the twin knows the form that the addon uses.
    if (weight != nullptr || bias != nullptr || mean != nullptr || rstd != nullptr) {
      refuse("the twin has no weight, bias, mean and rstd");
    }
    require_float(x, "input");
    require_same_dtype(x, y);
    require_same_dims(x, y);
    const std::vector<int64_t> shape = call.array(normalized_shape, "normalizedShape");
    // "normalizedShape: the last dimensions of input; not empty" (aclnnLayerNorm, N).
    if (shape.empty() || shape.size() > x.dims.size() ||
        !std::equal(shape.rbegin(), shape.rend(), x.dims.rbegin())) {
      refuse("normalizedShape is not the end of " + describe(x));
    }
    size_t width = 1;
    for (const int64_t dim : shape) width *= static_cast<size_t>(dim);
    // The missing weight and bias are made: ones and zeros (norm/layer_norm_v4/op_api, N).
    call.executor().workspace_bytes = gather_bytes({&x, &y}) + 2 * width * item_size(x.dtype);
    call.executor().compute = [width, epsilon](const auto& in, const auto& outs) {
      std::vector<float> values = read_floats(in[0]);
      for (size_t row = 0; row < values.size(); row += width) {
        normalise(&values[row], width, static_cast<float>(epsilon));
      }
      write_floats(outs[0], values);
    };
  });
}
}

}  // namespace latte::ascend
