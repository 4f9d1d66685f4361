// aclnnLayerNorm.
#include <array>
#include <cmath>

#include "ops/operation.h"

using namespace latte::twin;

namespace latte::ascend {

namespace {

/// Sums in the vector unit's order: 64 lanes side by side, then their sums.
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
    // A null operand keeps its index; its address is not set anew.
    if ((weight == nullptr) != (bias == nullptr)) refuse("weight and bias come together here");
    const View* scale = weight == nullptr ? nullptr : &call.input(weight, "weight");
    const View* shift = bias == nullptr ? nullptr : &call.input(bias, "bias");
    // The documentation makes mean and rstd optional; the twin supports only the form that the
    // addon uses.
    if (mean != nullptr || rstd != nullptr) refuse("the twin has no mean and rstd");
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
    for (const View* view : {scale, shift}) {
      if (view == nullptr) continue;
      if (view->dims != shape) refuse("weight and bias have another shape than normalizedShape");
      // "of input's dtype, or FLOAT; weight and bias of the same" (aclnnLayerNorm, N).
      if (view->dtype != x.dtype && view->dtype != ACL_FLOAT) {
        refuse("weight or bias is neither of input's dtype nor FLOAT");
      }
      require_same_dtype(*scale, *view);
    }
    call.executor().workspace_bytes = gather_bytes({&x, &y});
    KernelPlan& kernels = call.kernels();
    std::vector<Place> read = {kernels.contiguous(kernels.input(0))};
    // A missing weight or bias is made anew at each run: ones and zeros, by a Fill each
    // (norm/layer_norm_v4/op_host/op_api/aclnn_layer_norm.cpp, N).
    for (size_t i = 0; i < 2; ++i) {
      read.push_back(scale == nullptr
                         ? kernels.run("Fill", {}, static_cast<int64_t>(width), x.dtype)
                         : kernels.contiguous(kernels.input(1 + i)));
    }
    kernels.view_copy(kernels.run("LayerNorm", read, x.elements(), x.dtype), kernels.output(0));
    call.executor().compute = [width, epsilon](const auto& in, const auto& outs) {
      std::vector<float> values = read_floats(in[0]);
      for (size_t row = 0; row < values.size(); row += width) {
        normalise(&values[row], width, static_cast<float>(epsilon));
      }
      if (in.size() == 3) {
        const std::vector<float> scales = read_floats(in[1]), shifts = read_floats(in[2]);
        for (size_t i = 0; i < values.size(); ++i) {
          values[i] = values[i] * scales[i % width] + shifts[i % width];
        }
      }
      write_floats(outs[0], values);
    };
  });
}
}

}  // namespace latte::ascend
