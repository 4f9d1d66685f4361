// Conversions between dtypes on the host.
#pragma once

#include <cstdint>

#include "core/dtype.h"

namespace latte::cpu {

/// Converts `count` elements, rounding once to nearest even. To an integer: towards zero, the
/// nearest representable if out of range, and NaN to 0. Memory must not overlap.
void convert(const void* from, DType from_dtype, void* to, DType to_dtype, int64_t count);

}  // namespace latte::cpu
