// The 16-bit element types as C++ types of their own, and the way from a DType to a C++ type.
#pragma once

#include <cstdint>
#include <type_traits>

#include "core/dtype.h"

namespace latte::cpu {

/// float16.
struct Half {
  uint16_t bits;
};
/// bfloat16.
struct BFloat {
  uint16_t bits;
};

/// Calls function(T{}) with the C++ type of a layer dtype.
template <class Function>
void with_layer_type(DType dtype, const Function& function) {
  switch (dtype) {
    case DType::kFloat16:
      return function(Half{});
    case DType::kBFloat16:
      return function(BFloat{});
    default:
      return function(float{});
  }
}

}  // namespace latte::cpu
