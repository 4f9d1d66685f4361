// Conversions between dtypes on the host.
#pragma once

#include <cstdint>

#include "core/dtype.h"

namespace latte::cpu {

/// Converts `count` elements, rounding once to nearest even. To an integer it rounds towards zero;
/// a number out of range becomes the nearest representable one, NaN becomes 0. Equal dtypes are
/// copied. `from` and `to` must not overlap.
void convert(const void* from, DType from_dtype, void* to, DType to_dtype, int64_t count);

}  // namespace latte::cpu
