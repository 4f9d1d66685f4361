// The elements that a view reaches, in row-major order: read into floats, computed with, and
// rounded once when they are stored.
#pragma once

#include <vector>

#include "nnop/tensors.h"

namespace latte::twin {

/// Reads elements as floats; float64 and integers are rounded.
std::vector<float> read_floats(const Elements& elements);
/// Rounds each value once, to the view's dtype.
void write_floats(const Elements& elements, const std::vector<float>& values);
/// Converts element by element, each rounded once. Both views have as many elements.
void convert_elements(const Elements& from, const Elements& to);

/// The dims that both broadcast to; empty optional-like `ok` where they do not.
struct BroadcastDims {
  bool ok = false;
  std::vector<int64_t> dims;
};
BroadcastDims broadcast_dims(const std::vector<int64_t>& a, const std::vector<int64_t>& b);
/// The same elements seen with larger dims, by strides of 0. The dims must be broadcast_dims().
Elements broadcast_to(const Elements& elements, const std::vector<int64_t>& dims);

}  // namespace latte::twin
