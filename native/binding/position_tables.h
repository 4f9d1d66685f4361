// Tables of sines and cosines, computed on the host.
#pragma once

#include "binding/js.h"

namespace latte::binding {

// (embedDim: number, length: number, interpolationScale: number, dtype: DType): NativeTensor
napi_value sincos_1d(const Call& call);
// (embedDim: number, positions: NativeTensor, dtype: DType): NativeTensor
napi_value sincos_from_grid(const Call& call);
// (embedDim: number, gridHeight: number, gridWidth: number, extraTokens: number,
// interpolationScale: number, baseSize: number, dtype: DType): NativeTensor
napi_value sincos_2d(const Call& call);
// (embedDim: number, grid: NativeTensor /* [2, …] */, dtype: DType): NativeTensor
napi_value sincos_2d_from_grid(const Call& call);
// (embedDim: number, frames: number, gridHeight: number, gridWidth: number, spatialScale: number,
// temporalScale: number, dtype: DType): NativeTensor
napi_value sincos_3d(const Call& call);

}  // namespace latte::binding
