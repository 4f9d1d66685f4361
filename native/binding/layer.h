// Layers as JavaScript holds them: opaque handles, as tensors are.
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
// options: { batchSize?: number, hiddenDtype?: DType, timestepSeqLen?: number } | undefined): void
// — a result that is undefined is made, and put into `results`
napi_value forward_sync(const Call& call);
// (layer, inputs, results, options, id: number): Promise<void> — fills `results` at once; what they
// hold is there when the promise resolves. `id`: for cancel(); 0: it cannot be cancelled
napi_value forward(const Call& call);
// (id: number): void — rejects a forward that waits now, and one that runs at its next operation
napi_value cancel(const Call& call);
// (layer: NativeLayer): void
napi_value dispose_layer(const Call& call);

}  // namespace latte::binding
