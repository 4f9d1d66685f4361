// Operations on tensors that the library uses itself and does not export.
import { typedArrayField } from '../errors.js';
import { native } from '../native.js';
import { byteLengthOf, handleOf } from './state.js';
import { convertNow, resultOf, stateOf, wrapHandle, type Tensor } from './tensor.js';

/** A tensor over the rows [begin, begin + count) of the first axis; it shares the memory. @internal */
export function tensorRows(tensor: Tensor, begin: number, count: number): Tensor {
  const state = stateOf(tensor);
  const rows = wrapHandle(native.rows(handleOf(state, 'tensor'), begin, count));
  stateOf(rows).use = state.use;
  return rows;
}

/** Moves a tensor to a device while the calling thread waits, and disposes the one given. @internal */
export function moveNow(tensor: Tensor, device: string): Tensor {
  if (tensor.device === device) return tensor;
  try {
    return convertNow(handleOf(stateOf(tensor), 'tensor'), tensor.dtype, device);
  } finally {
    tensor.dispose();
  }
}

/** A tensor on the same device with each row of the first axis `times` times: a, a, b, b. @internal */
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
    byteLengthOf(stateOf(tensor)),
  );
}
