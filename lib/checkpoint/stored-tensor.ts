import { isDType, type DType } from '../tensor/dtype.js';
import type { CheckpointFile } from './file.js';

/** Where and how a file stores a tensor. @internal */
export interface StoredTensor {
  readonly file: CheckpointFile;
  readonly dtype: StoredDType;
  readonly shape: readonly number[];
  /** The parts of the tensor's bytes: position, length, position, length … */
  readonly parts: readonly number[];
  /** Whether bfloat16 elements are stored as float32, of which the upper two bytes count. */
  readonly upperHalves?: boolean;
}

/** The dtypes of a checkpoint's tensors. Those that a Tensor cannot have can be listed, but not loaded. */
export type StoredDType =
  | DType
  | 'bool'
  | 'uint8'
  | 'int8'
  | 'uint16'
  | 'int16'
  | 'uint32'
  | 'uint64'
  | 'complex64'
  | 'float8_e4m3'
  | 'float8_e5m2'
  | 'float8_e8m0'
  | 'float8_e4m3fnuz'
  | 'float8_e5m2fnuz'
  | 'float6_e2m3'
  | 'float6_e3m2'
  | 'float4'
  | 'string';

/** The width of an element in bits; strings have none. @internal */
export const bitWidth: Readonly<Record<Exclude<StoredDType, 'string'>, number>> = {
  float64: 64,
  float32: 32,
  float16: 16,
  bfloat16: 16,
  int64: 64,
  int32: 32,
  int16: 16,
  int8: 8,
  uint64: 64,
  uint32: 32,
  uint16: 16,
  uint8: 8,
  bool: 8,
  complex64: 64,
  float8_e4m3: 8,
  float8_e5m2: 8,
  float8_e8m0: 8,
  float8_e4m3fnuz: 8,
  float8_e5m2fnuz: 8,
  float6_e2m3: 6,
  float6_e3m2: 6,
  float4: 4,
};

/** Whether a Tensor can have this dtype. @internal */
export function isTensorDType(dtype: StoredDType): dtype is DType {
  return isDType(dtype);
}

/**
 * The number of bytes that a tensor takes: 'overflow' if it is above 2^53, 'fraction' if the bits do not
 * fill whole bytes.
 * @internal
 */
export function storedBytes(
  shape: readonly number[],
  bits: number,
): number | 'overflow' | 'fraction' {
  let product = bits;
  for (const length of shape) {
    // A product that overflows before a length of 0 is an overflow, too, as in the safetensors library.
    product *= length;
    if (!Number.isSafeInteger(product)) return 'overflow';
  }
  return product % 8 === 0 ? product / 8 : 'fraction';
}
