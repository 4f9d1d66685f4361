import { typedArrayField } from './errors.js';
import type { Tensor } from './tensor.js';

/** The elements of a tensor on the cpu as bytes, without a copy. @internal */
export function bytesOf(tensor: Tensor): Uint8Array {
  const { data } = tensor;
  return new Uint8Array(
    typedArrayField(data, 'buffer'),
    typedArrayField(data, 'byteOffset'),
    tensor.byteLength,
  );
}
