// What the library itself does with tensors; programs have `Tensor`'s own methods.
import { typedArrayField } from '../errors.js';
import { native } from '../native.js';
import { handleOf } from './state.js';
import { convertNow, resultOf, stateOf, wrapHandle, type Tensor } from './tensor.js';

/** The rows [begin, begin + count) of the first axis, over the same memory. @internal */
export function tensorRows(tensor: Tensor, begin: number, count: number): Tensor {
  const state = stateOf(tensor);
  const rows = wrapHandle(native.rows(handleOf(state, 'tensor'), begin, count));
  stateOf(rows).use = state.use;
  return rows;
}

/** The tensor on a device, while the calling thread waits; the one given is disposed. @internal */
export function moveNow(tensor: Tensor, device: string): Tensor {
  if (tensor.device === device) return tensor;
  try {
    return convertNow(handleOf(stateOf(tensor), 'tensor'), tensor.dtype, device);
  } finally {
    tensor.dispose();
  }
}

/** Each row of the first axis `times` times, on the tensor's device. @internal */
export async function repeatRows(tensor: Tensor, times: number): Promise<Tensor> {
  const handle = handleOf(stateOf(tensor), 'tensor');
  return resultOf((results) => native.repeatRows(handle, times, results));
}

/** The elements of a tensor on the cpu as bytes, without a copy. @internal */
export function bytesOf(tensor: Tensor): Uint8Array {
  const { data } = tensor;
  return new Uint8Array(
    typedArrayField(data, 'buffer'),
    typedArrayField(data, 'byteOffset'),
    tensor.byteLength,
  );
}
