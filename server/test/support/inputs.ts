import { Tensor } from 'latte-embeddings';
import type { BinaryInput } from './rest.js';

/** The bytes of a typed array. */
export function bytesOf(data: ArrayBufferView): Buffer {
  return Buffer.from(data.buffer, data.byteOffset, data.byteLength);
}

/** Numbers between -1 and 1 that depend only on the seed. */
export function numbers(size: number, seed = 1): Float32Array {
  let state = seed >>> 0;
  return Float32Array.from({ length: size }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  });
}

const datatypes = { float32: 'FP32', float16: 'FP16', bfloat16: 'BF16' } as const;

export function input(
  name: string,
  shape: number[],
  values: ArrayLike<number>,
  dtype: keyof typeof datatypes = 'float32',
): BinaryInput {
  const tensor = new Tensor(dtype, Array.from(values), shape);
  const bytes = Buffer.from(bytesOf(tensor.data as Float32Array));
  return { name, datatype: datatypes[dtype], shape, bytes };
}

export function int64(name: string, values: number[], shape = [values.length]): BinaryInput {
  const bytes = bytesOf(BigInt64Array.from(values, BigInt));
  return { name, datatype: 'INT64', shape, bytes };
}

/** The width of the captions of all small checkpoints. */
export const captionWidth = 20;

export function caption(
  batch: number,
  tokens: number,
  seed = 1,
  dtype: keyof typeof datatypes = 'float32',
): BinaryInput {
  const shape = [batch, tokens, captionWidth];
  return input('caption', shape, numbers(batch * tokens * captionWidth, seed), dtype);
}

export function timesteps(...steps: number[]): BinaryInput {
  return input('timesteps', [steps.length], steps);
}
