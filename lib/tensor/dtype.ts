import { LatteError, show } from '../errors.js';

/** The element types of a {@link Tensor}. Layers compute in one of the floating types, except float64. */
export type DType = 'float64' | 'float32' | 'float16' | 'bfloat16' | 'int32' | 'int64';

/** The element types in which layers hold weights and give results. */
export type FloatDType = 'float32' | 'float16' | 'bfloat16';

/** A Float16Array, declared here because not every runtime and not every typing has that class. */
export interface Float16ArrayLike {
  readonly length: number;
  readonly byteLength: number;
  readonly byteOffset: number;
  readonly buffer: ArrayBufferLike;
  readonly BYTES_PER_ELEMENT: number;
  [index: number]: number;
}

/** The classes of `tensor.data`; bfloat16, and float16 in runtimes without Float16Array, are bits. */
export type TensorData =
  Float64Array | Float32Array | Uint16Array | Int32Array | BigInt64Array | Float16ArrayLike;

interface ArrayConstructor {
  new (buffer: ArrayBufferLike, byteOffset?: number, length?: number): TensorData;
  readonly name: string;
}

const Float16 = (globalThis as { Float16Array?: ArrayConstructor }).Float16Array;

interface DTypeInfo {
  readonly itemSize: number;
  /** The class of `tensor.data`. */
  readonly array: ArrayConstructor;
  /** The classes of array that the Tensor constructor accepts. */
  readonly accepted: readonly ArrayConstructor[];
}

const table: Record<DType, DTypeInfo> = {
  float64: { itemSize: 8, array: Float64Array, accepted: [Float64Array] },
  float32: { itemSize: 4, array: Float32Array, accepted: [Float32Array] },
  float16: {
    itemSize: 2,
    array: Float16 ?? Uint16Array,
    accepted: Float16 ? [Float16, Uint16Array] : [Uint16Array],
  },
  bfloat16: { itemSize: 2, array: Uint16Array, accepted: [Uint16Array] },
  int32: { itemSize: 4, array: Int32Array, accepted: [Int32Array] },
  int64: { itemSize: 8, array: BigInt64Array, accepted: [BigInt64Array] },
};

export function isDType(value: unknown): value is DType {
  return typeof value === 'string' && Object.hasOwn(table, value);
}

/** The width of one element in bytes. */
export function itemSize(dtype: DType): number {
  return table[dtype].itemSize;
}

/** The classes of typed arrays for a dtype. */
export function arraysOf(dtype: DType): DTypeInfo {
  return table[dtype];
}

/** Checks a dtype that the caller gave. @throws LatteError ERR_DTYPE. */
export function checkDType(value: unknown, name = 'dtype'): DType {
  if (isDType(value)) return value;
  throw new LatteError(
    'ERR_DTYPE',
    `${name} must be one of ${Object.keys(table).join(', ')}, but is ${show(value)}`,
  );
}

/** Checks the dtype of a layer. @throws LatteError ERR_DTYPE. */
export function checkFloatDType(value: unknown, name = 'dtype'): FloatDType {
  if (value === 'float32' || value === 'float16' || value === 'bfloat16') return value;
  throw new LatteError(
    'ERR_DTYPE',
    `${name} must be 'float32', 'float16' or 'bfloat16', but is ${show(value)}`,
  );
}
