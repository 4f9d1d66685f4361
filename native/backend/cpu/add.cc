// Broadcasting sums. Only unflattened patch embeddings need them, so they are written for clarity.
#include "backend/cpu/simd/element.h"
#include "backend/cpu/operations.h"

namespace latte::cpu {

namespace {

/// Element i of an array of a layer dtype.
float as_float(const void* data, DType dtype, int64_t i) {
  if (dtype == DType::kFloat16) return half_to_float(static_cast<const uint16_t*>(data)[i]);
  if (dtype == DType::kBFloat16) return bfloat_to_float(static_cast<const uint16_t*>(data)[i]);
  return static_cast<const float*>(data)[i];
}

void put(float value, void* data, DType dtype, int64_t i) {
  if (dtype == DType::kFloat16) {
    static_cast<uint16_t*>(data)[i] = float_to_half(value);
  } else if (dtype == DType::kBFloat16) {
    static_cast<uint16_t*>(data)[i] = float_to_bfloat(value);
  } else {
    static_cast<float*>(data)[i] = value;
  }
}

/// The strides with which an operand is read along the axes of the broadcast shape.
Shape broadcast_strides(const Shape& shape, const Shape& out) {
  Shape strides(out.size(), 0);
  int64_t stride = 1;
  for (size_t i = 0; i < shape.size(); ++i) {
    const size_t axis = shape.size() - 1 - i;
    if (shape[axis] != 1) strides[out.size() - 1 - i] = stride;
    stride *= shape[axis];
  }
  return strides;
}

}  // namespace

void add(const TensorView& a, const TensorView& b, const TensorView& out) {
  const Shape a_strides = broadcast_strides(a.shape, out.shape);
  const Shape b_strides = broadcast_strides(b.shape, out.shape);
  const int64_t size = out.size();
  for (int64_t i = 0; i < size; ++i) {
    int64_t rest = i, from_a = 0, from_b = 0;
    for (size_t axis = out.shape.size(); axis-- > 0;) {
      const int64_t index = rest % out.shape[axis];
      rest /= out.shape[axis];
      from_a += index * a_strides[axis];
      from_b += index * b_strides[axis];
    }
    put(as_float(a.data, a.dtype, from_a) + as_float(b.data, b.dtype, from_b), out.data, out.dtype,
        i);
  }
}

}  // namespace latte::cpu
