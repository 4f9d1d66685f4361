// Shapes, and views of dense row-major arrays. A view does not own its memory.
#pragma once

#include <cstdint>
#include <ostream>
#include <vector>

#include "core/dtype.h"

namespace latte {

/// The length of each axis; empty for a scalar.
using Shape = std::vector<int64_t>;

/// The product of the lengths. Throws ERR_SHAPE if a length is negative, or if the shape asks for
/// more than 2^47 elements: so no size in bytes overflows.
int64_t element_count(const Shape& shape);

/// Prints a shape in a message, as `[2, 4, 64, 64]`.
struct ShowShape {
  const Shape& shape;
};
std::ostream& operator<<(std::ostream& out, const ShowShape& show);

/// The dtype and the shape of a tensor, without its memory.
struct TensorSpec {
  DType dtype = DType::kFloat32;
  Shape shape;

  int64_t size() const { return element_count(shape); }
  size_t bytes() const { return static_cast<size_t>(size()) * item_size(dtype); }
};

/// A tensor in the memory of a device. It does not own `data`.
struct TensorView : TensorSpec {
  void* data = nullptr;
};

}  // namespace latte
