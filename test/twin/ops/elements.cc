#include "ops/elements.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "core/dtype.h"

namespace latte::twin {

namespace {

struct Half {
  uint16_t bits;
};
struct BFloat {
  uint16_t bits;
};

double widened(Half value) { return half_to_float(value.bits); }
double widened(BFloat value) { return bfloat_to_float(value.bits); }
float widened(float value) { return value; }
double widened(double value) { return value; }
int64_t widened(int32_t value) { return value; }
int64_t widened(int64_t value) { return value; }

template <class Integer>
Integer to_integer(double value) {
  // "When a floating-point NaN is converted to an integer, the result is 0" (aclnnCast, ops-math
  // c4193324); values outside of the type saturate.
  if (std::isnan(value)) return 0;
  constexpr auto kLeast = static_cast<double>(std::numeric_limits<Integer>::min());
  if (value <= kLeast) return std::numeric_limits<Integer>::min();
  if (value >= -kLeast) return std::numeric_limits<Integer>::max();
  return static_cast<Integer>(value);
}

template <class To, class From>
To converted(From from) {
  const auto value = widened(from);
  if constexpr (std::is_same_v<To, Half>) {
    return {float_to_half(double_to_float_odd(static_cast<double>(value)))};
  } else if constexpr (std::is_same_v<To, BFloat>) {
    return {float_to_bfloat(double_to_float_odd(static_cast<double>(value)))};
  } else if constexpr (std::is_integral_v<To> && !std::is_integral_v<decltype(value)>) {
    return to_integer<To>(value);
  } else {
    return static_cast<To>(value);
  }
}

/// Calls use(T{}) with the type that holds a dtype.
template <class Use>
void with_type(aclDataType dtype, Use use) {
  switch (dtype) {
    case ACL_FLOAT:
      return use(float{});
    case ACL_FLOAT16:
      return use(Half{});
    case ACL_BF16:
      return use(BFloat{});
    case ACL_DOUBLE:
      return use(double{});
    case ACL_INT32:
      return use(int32_t{});
    case ACL_INT64:
      return use(int64_t{});
  }
}

/// Calls visit(offset) for each element in row-major order; offsets count elements from the first.
template <class Visit>
void each_offset(const View& view, Visit visit) {
  if (view.elements() == 0) return;
  const size_t rank = view.dims.size();
  const int64_t inner = rank == 0 ? 1 : view.dims.back();
  const int64_t stride = rank == 0 ? 1 : view.strides.back();
  std::vector<int64_t> place(rank, 0);
  int64_t row = 0;
  while (true) {
    for (int64_t i = 0; i < inner; ++i) visit(row + i * stride);
    size_t axis = rank == 0 ? 0 : rank - 1;
    while (axis-- > 0) {
      row += view.strides[axis];
      if (++place[axis] < view.dims[axis]) break;
      row -= view.strides[axis] * view.dims[axis];
      place[axis] = 0;
    }
    if (axis == static_cast<size_t>(-1)) return;
  }
}

template <class T>
T load(const std::byte* origin, int64_t offset) {
  T value;
  std::memcpy(&value, origin + offset * static_cast<int64_t>(sizeof(T)), sizeof(T));
  return value;
}

template <class T>
void store(std::byte* origin, int64_t offset, T value) {
  std::memcpy(origin + offset * static_cast<int64_t>(sizeof(T)), &value, sizeof(T));
}

}  // namespace

std::vector<float> read_floats(const Elements& elements) {
  std::vector<float> values(static_cast<size_t>(elements.view.elements()));
  with_type(elements.view.dtype, [&](auto type) {
    float* next = values.data();
    each_offset(elements.view, [&](int64_t offset) {
      *next++ = converted<float>(load<decltype(type)>(elements.origin, offset));
    });
  });
  return values;
}

void write_floats(const Elements& elements, const std::vector<float>& values) {
  with_type(elements.view.dtype, [&](auto type) {
    const float* next = values.data();
    each_offset(elements.view, [&](int64_t offset) {
      store(elements.origin, offset, converted<decltype(type)>(*next++));
    });
  });
}

void convert_elements(const Elements& from, const Elements& to) {
  with_type(from.view.dtype, [&](auto source) {
    with_type(to.view.dtype, [&](auto target) {
      std::vector<decltype(target)> values;
      values.reserve(static_cast<size_t>(from.view.elements()));
      each_offset(from.view, [&](int64_t offset) {
        values.push_back(converted<decltype(target)>(load<decltype(source)>(from.origin, offset)));
      });
      const auto* next = values.data();
      each_offset(to.view, [&](int64_t offset) { store(to.origin, offset, *next++); });
    });
  });
}

BroadcastDims broadcast_dims(const std::vector<int64_t>& a, const std::vector<int64_t>& b) {
  BroadcastDims result{true, std::vector<int64_t>(std::max(a.size(), b.size()), 1)};
  for (size_t i = 0; i < result.dims.size(); ++i) {
    const int64_t left = i < a.size() ? a[a.size() - 1 - i] : 1;
    const int64_t right = i < b.size() ? b[b.size() - 1 - i] : 1;
    if (left != right && left != 1 && right != 1) return {};
    result.dims[result.dims.size() - 1 - i] = left == 1 ? right : left;
  }
  return result;
}

Elements broadcast_to(const Elements& elements, const std::vector<int64_t>& dims) {
  Elements result = elements;
  const size_t added = dims.size() - elements.view.dims.size();
  result.view.dims = dims;
  result.view.strides.assign(dims.size(), 0);
  for (size_t axis = 0; axis < elements.view.dims.size(); ++axis) {
    if (elements.view.dims[axis] == dims[added + axis]) {
      result.view.strides[added + axis] = elements.view.strides[axis];
    }
  }
  return result;
}

}  // namespace latte::twin
