import { isArray, LatteError, show, typedArrayKind } from '../errors.js';
import { fromNumbers } from './data.js';
import type { DType, TensorData } from './dtype.js';
import { isTensor, Tensor } from './tensor.js';

/**
 * What functions and layers accept as numbers: a tensor, a typed array, or an array of numbers. The
 * elements of a Uint16Array are whole numbers here, not the bits of a float16.
 */
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

/** The typed arrays that a tensor can wrap, with the tensor's dtype. */
const numberKinds: Readonly<Record<string, DType | undefined>> = {
  Float64Array: 'float64',
  Float32Array: 'float32',
  Float16Array: 'float16',
  Int32Array: 'int32',
  BigInt64Array: 'int64',
};

/**
 * Makes a tensor of {@link TensorLike}: a tensor stays itself, a typed array is wrapped if a dtype has
 * its kind. Other typed arrays and numbers are copied into a float64 tensor.
 * @throws LatteError ERR_VALUE for any other value.
 * @internal
 */
export function asTensor(value: unknown, name: string): Tensor {
  if (isTensor(value)) return value;
  if (isArray(value)) return new Tensor('float64', fromNumbers('float64', value, name));
  const kind = typedArrayKind(value);
  const dtype = kind === undefined ? undefined : numberKinds[kind];
  if (dtype !== undefined) return new Tensor(dtype, value as TensorData);
  // Integers of other widths: float64 holds them exactly, except those of a BigUint64Array above 2^53.
  if (kind !== undefined)
    return new Tensor('float64', Float64Array.from(value as Uint8Array, Number));
  throw new LatteError(
    'ERR_VALUE',
    `${name} must be a Tensor, a typed array or an array of numbers, but is ${show(value)}`,
  );
}
