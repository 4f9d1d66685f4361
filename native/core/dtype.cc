#include "core/dtype.h"

#include <cmath>
#include <limits>

#include "core/bits.h"

namespace latte {

namespace {
struct Entry {
  DType dtype;
  const char* name;  // in JavaScript and in messages
  size_t size;       // bytes of an element
};
/// In the order of DType: its value is the index.
constexpr Entry kEntries[] = {
    {DType::kFloat64, "float64", 8}, {DType::kFloat32, "float32", 4},
    {DType::kFloat16, "float16", 2}, {DType::kBFloat16, "bfloat16", 2},
    {DType::kInt32, "int32", 4},     {DType::kInt64, "int64", 8},
};
}  // namespace

size_t item_size(DType dtype) { return kEntries[static_cast<int>(dtype)].size; }

const char* dtype_name(DType dtype) { return kEntries[static_cast<int>(dtype)].name; }

std::optional<DType> dtype_from_name(std::string_view name) {
  for (const Entry& entry : kEntries) {
    if (name == entry.name) return entry.dtype;
  }
  return std::nullopt;
}

uint16_t float_to_half(float value) {
  const uint32_t bits = bits_as<uint32_t>(value);
  const uint32_t sign = (bits >> 16) & 0x8000;
  const uint32_t magnitude = bits & 0x7FFFFFFF;
  if (magnitude > 0x7F800000) {  // NaN: keep the top of the payload, make it quiet
    return static_cast<uint16_t>(sign | 0x7E00 | ((magnitude >> 13) & 0x1FF));
  }
  // From 65520 on a value rounds beyond the largest half, 65504: it becomes infinite.
  if (magnitude >= 0x477FF000) return static_cast<uint16_t>(sign | 0x7C00);
  if (magnitude < 0x38800000) {
    // Below 2^-14 a half is a multiple of 2^-24, which is the unit in the last place of a float32
    // near 0.5. So adding 0.5 rounds to that multiple and leaves it in the low bits of the sum.
    const float sum = bits_as<float>(magnitude) + 0.5f;
    return static_cast<uint16_t>(sign | (bits_as<uint32_t>(sum) - 0x3F000000));
  }
  const uint32_t odd = (magnitude >> 13) & 1;
  const uint32_t rounded = magnitude + 0xFFF + odd - (112u << 23);
  return static_cast<uint16_t>(sign | (rounded >> 13));
}

float half_to_float(uint16_t half) {
  const uint32_t sign = static_cast<uint32_t>(half & 0x8000) << 16;
  const uint32_t magnitude = half & 0x7FFF;
  if (magnitude >= 0x7C00) return bits_as<float>(sign | 0x7F800000 | ((magnitude & 0x3FF) << 13));
  if (magnitude < 0x0400) {
    const float value = static_cast<float>(magnitude) * 0x1p-24f;
    return bits_as<float>(sign | bits_as<uint32_t>(value));
  }
  return bits_as<float>(sign | ((magnitude << 13) + (112u << 23)));
}

uint16_t float_to_bfloat(float value) {
  const uint32_t bits = bits_as<uint32_t>(value);
  if ((bits & 0x7FFFFFFF) > 0x7F800000) return static_cast<uint16_t>((bits >> 16) | 0x40);
  return static_cast<uint16_t>((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
}

float bfloat_to_float(uint16_t bits) { return bits_as<float>(static_cast<uint32_t>(bits) << 16); }

float double_to_float_odd(double value) {
  const float nearest = static_cast<float>(value);
  if (std::isnan(value) || static_cast<double>(nearest) == value) return nearest;
  if (std::isinf(nearest) && !std::isinf(value)) {
    return std::copysign(std::numeric_limits<float>::max(), nearest);  // its last bit is odd
  }
  const uint32_t bits = bits_as<uint32_t>(nearest);
  if (bits & 1) return nearest;
  // The nearest float has an even mantissa. Return the float on the other side of `value`, whose
  // mantissa is odd.
  const bool away = std::fabs(value) > std::fabs(static_cast<double>(nearest));
  return bits_as<float>(away ? bits + 1 : bits - 1);
}

}  // namespace latte
