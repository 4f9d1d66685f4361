import { isDType, type DType } from '../tensor/dtype.js';
import type { CheckpointFile } from './file.js';

/** A tensor as it lies in a file. @internal */
export interface StoredTensor {
  readonly file: CheckpointFile;
  readonly dtype: StoredDType;
  readonly shape: readonly number[];
  /** Where its bytes are: position and length of each part in turn. */
  readonly parts: readonly number[];
  /** bfloat16 elements that take four bytes each, of which the upper two count. */
  readonly upperHalves?: boolean;
}

/** The dtypes that a checkpoint's tensors can have: those of a Tensor, and others by name only. */
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

/** Whether a Tensor can hold it. @internal */
export function isTensorDType(dtype: StoredDType): dtype is DType {
  return isDType(dtype);
}

/**
 * The bytes that a tensor takes: undefined when that is no exact number, 'fraction' when its bits do
 * not fill whole bytes.
 * @internal
 */
export function storedBytes(
  shape: readonly number[],
  bits: number,
): number | 'overflow' | 'fraction' {
  let product = bits;
  for (const length of shape) {
    // An empty tensor may have any other lengths, as long as what comes before the 0 has a product.
    product *= length;
    if (!Number.isSafeInteger(product)) return 'overflow';
  }
  return product % 8 === 0 ? product / 8 : 'fraction';
}
