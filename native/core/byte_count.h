// Sizes of memory, computed without overflow.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/error.h"

namespace latte {

/// The bytes of an array: `item` bytes times the product of `lengths`. Throws ERR_OUT_OF_MEMORY if
/// a length is negative or the product exceeds 2^63 − 1: no machine has so much memory.
template <class... Lengths>
size_t byte_count(size_t item, Lengths... lengths) {
  int64_t bytes = static_cast<int64_t>(item);
  const bool fits =
      ((lengths >= 0 && !__builtin_mul_overflow(bytes, int64_t{lengths}, &bytes)) && ...);
  if (!fits) fail(ErrorCode::kOutOfMemory, "more than 2^63 bytes were asked for");
  return static_cast<size_t>(bytes);
}

}  // namespace latte
