// Layers in JavaScript: opaque handles, as tensors are.
#pragma once

#include "binding/js.h"

namespace latte::binding {

// (kind: string, options: object, device: string, dtype: DType): NativeLayer
napi_value create_layer(const Call& call);
// (layer: NativeLayer): { name: string, shape: number[], required: boolean }[]
napi_value parameters(const Call& call);
// (layer: NativeLayer, names: string[], tensors: NativeTensor[]): void
napi_value load(const Call& call);
// (layer: NativeLayer): [string, NativeTensor][]
napi_value state(const Call& call);
// (layer: NativeLayer, inputs: (NativeTensor | undefined)[], results: (NativeTensor | undefined)[],
// options: { batchSize?: number, hiddenDtype?: DType, timestepSeqLen?: number,
// rowsPerStep?: number } | undefined): void
// — writes the results that are given; replaces each undefined one in `results` by a new tensor
napi_value forward_sync(const Call& call);
// (layer, inputs, results, options, id: number): Promise<void> — the same; `results` is filled when
// the promise resolves. `id` is for cancel(); 0: the forward cannot be cancelled
napi_value forward(const Call& call);
// (id: number): void — rejects a forward at once if it still waits; see Forward::cancel
napi_value cancel(const Call& call);
// (layer: NativeLayer): void
napi_value dispose_layer(const Call& call);

}  // namespace latte::binding
