import { readFileSync } from 'node:fs';
import { valueOfBits } from '../reference/rounding.js';
import type { DType } from '../../lib/index.js';

/** A tensor of a file of test/golden, with its values as doubles. */
export interface StoredTensor {
  readonly dtype: DType;
  readonly shape: number[];
  readonly values: Float64Array;
}

const dtypes: Record<string, DType> = {
  F64: 'float64',
  F32: 'float32',
  F16: 'float16',
  BF16: 'bfloat16',
  I32: 'int32',
  I64: 'int64',
};

/** The dtype behind a safetensors name (F32 …). */
export function dtypeOf(name: string): DType {
  const dtype = dtypes[name];
  if (dtype === undefined) throw new Error(`golden data has no dtype ${name}`);
  return dtype;
}

function decode(dtype: DType, bytes: ArrayBuffer): Float64Array {
  switch (dtype) {
    case 'float64':
      return new Float64Array(bytes);
    case 'float32':
      return Float64Array.from(new Float32Array(bytes));
    case 'int32':
      return Float64Array.from(new Int32Array(bytes));
    case 'int64':
      return Float64Array.from(new BigInt64Array(bytes), Number);
    default:
      return Float64Array.from(new Uint16Array(bytes), (bits) => valueOfBits(dtype, bits));
  }
}

/** Reads a safetensors file that is known to be valid. The library's own reader is for all others. */
export function readGolden(path: string): Map<string, StoredTensor> {
  const file = readFileSync(path);
  const headerLength = Number(file.readBigUInt64LE(0));
  const header = JSON.parse(file.toString('utf8', 8, 8 + headerLength)) as Record<
    string,
    { dtype: string; shape: number[]; data_offsets: [number, number] }
  >;
  const tensors = new Map<string, StoredTensor>();
  for (const [name, entry] of Object.entries(header)) {
    if (name === '__metadata__') continue;
    const [from, to] = entry.data_offsets.map((offset) => 8 + headerLength + offset) as [
      number,
      number,
    ];
    const bytes = file.buffer.slice(file.byteOffset + from, file.byteOffset + to);
    const dtype = dtypeOf(entry.dtype);
    tensors.set(name, { dtype, shape: entry.shape, values: decode(dtype, bytes) });
  }
  return tensors;
}
