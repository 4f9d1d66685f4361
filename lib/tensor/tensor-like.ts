import { isArray, LatteError, show, typedArrayKind } from '../errors.js';
import { fromNumbers } from './data.js';
import type { DType, TensorData } from './dtype.js';
import { isTensor, Tensor } from './tensor.js';

/** What a function accepts as numbers: a tensor, a typed array, or an array of numbers. */
export type TensorLike =
  | Tensor
  | TensorData
  | Int8Array
  | Uint8Array
  | Uint8ClampedArray
  | Int16Array
  | Uint32Array
  | BigUint64Array
  | readonly number[];

/** The typed arrays that are tensors as they are. */
const numberKinds: Readonly<Record<string, DType | undefined>> = {
  Float64Array: 'float64',
  Float32Array: 'float32',
  Float16Array: 'float16',
  Int32Array: 'int32',
  BigInt64Array: 'int64',
};

/**
 * A tensor of what the caller gave: itself, or a wrapper over a typed array (by its kind; 16-bit
 * integers are numbers here, not bits) or over numbers (as float64, which holds each exactly).
 * @internal
 */
export function asTensor(value: unknown, name: string): Tensor {
  if (isTensor(value)) return value;
  if (isArray(value)) return new Tensor('float64', fromNumbers('float64', value, name));
  const kind = typedArrayKind(value);
  const dtype = kind === undefined ? undefined : numberKinds[kind];
  if (dtype !== undefined) return new Tensor(dtype, value as TensorData);
  // Integers of other widths: float64 holds each of them (a BigUint64Array's as nearly as it can).
  if (kind !== undefined)
    return new Tensor('float64', Float64Array.from(value as Uint8Array, Number));
  throw new LatteError(
    'ERR_VALUE',
    `${name} must be a Tensor, a typed array or an array of numbers, but is ${show(value)}`,
  );
}
