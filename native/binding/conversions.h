// Functions that copy tensors: to other dtypes and devices.
#pragma once

#include "binding/js.h"

namespace latte::binding {

// (tensor: NativeTensor, dtype: DType, device: string, results: [undefined]): void — fills
// `results`
napi_value convert_sync(const Call& call);
// (tensor: NativeTensor, dtype: DType, device: string, results: [undefined]): Promise<void>
napi_value convert(const Call& call);
// (tensor: NativeTensor, times: number, results: [undefined]): Promise<void> — each row of the
// first axis `times` times, on the tensor's device
napi_value repeat_rows(const Call& call);

}  // namespace latte::binding
