// Element types, and the exact conversions between one element and another.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace latte {

enum class DType { kFloat64, kFloat32, kFloat16, kBFloat16, kInt32, kInt64 };

/// The bytes of an element.
size_t item_size(DType dtype);
/// 'float32' …, as in JavaScript.
const char* dtype_name(DType dtype);
/// The dtype of this name; nothing if there is none.
std::optional<DType> dtype_from_name(std::string_view name);

/// float16, bfloat16 and float32: the types that layers compute in.
inline bool is_layer_dtype(DType dtype) {
  return dtype == DType::kFloat32 || dtype == DType::kFloat16 || dtype == DType::kBFloat16;
}
/// A layer dtype or float64.
inline bool is_floating(DType dtype) { return is_layer_dtype(dtype) || dtype == DType::kFloat64; }

// Conversions between float32 and the bits of float16 (half) and bfloat16. They round to nearest,
// ties to even. NaN stays NaN, subnormals are kept, overflow becomes infinite.
uint16_t float_to_half(float value);
float half_to_float(uint16_t bits);
uint16_t float_to_bfloat(float value);
float bfloat_to_float(uint16_t bits);

/// A double rounded to float by "round to odd": if it is not a float, the neighbour with the odd
/// mantissa. Rounding that to half or bfloat gives the same as rounding the double directly; two
/// roundings to nearest do not.
float double_to_float_odd(double value);

}  // namespace latte
