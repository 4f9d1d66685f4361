import { Tensor, type DType, type TensorData } from 'latte-embeddings';
import { invalid, show } from './errors.js';

/** The protocol's names of the dtypes that inputs and outputs may have. */
export type Datatype = 'FP32' | 'FP16' | 'BF16' | 'INT64' | 'INT32';

interface DatatypeInfo {
  readonly dtype: DType;
  readonly itemSize: number;
}

const table: Record<Datatype, DatatypeInfo> = {
  FP32: { dtype: 'float32', itemSize: 4 },
  FP16: { dtype: 'float16', itemSize: 2 },
  BF16: { dtype: 'bfloat16', itemSize: 2 },
  INT64: { dtype: 'int64', itemSize: 8 },
  INT32: { dtype: 'int32', itemSize: 4 },
};

/** The floating-point datatypes; layers convert inputs to their own dtype. */
export const floatDatatypes: readonly Datatype[] = ['FP32', 'FP16', 'BF16'];

/** The datatypes that timesteps and sizes may have. */
export const numberDatatypes: readonly Datatype[] = ['FP32', 'FP16', 'BF16', 'INT64', 'INT32'];

/** The most axes of a tensor in a request. */
const maxAxes = 8;

/** The most elements of a tensor: sizes in bytes stay far below 2^53, and so exact. */
const maxElements = 2 ** 40;

/** A tensor of a request or an answer: row-major, little-endian bytes. */
export interface WireTensor {
  readonly name: string;
  readonly datatype: Datatype;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

export function itemSize(datatype: Datatype): number {
  return table[datatype].itemSize;
}

export function dtypeOf(datatype: Datatype): DType {
  return table[datatype].dtype;
}

export function datatypeOf(dtype: DType): Datatype {
  for (const [name, info] of Object.entries(table)) {
    if (info.dtype === dtype) return name as Datatype;
  }
  throw new TypeError(`the protocol's tensors of this server have no ${dtype}`);
}

export function elementsOf(shape: readonly number[]): number {
  return shape.reduce((product, length) => product * length, 1);
}

export function showShape(shape: readonly number[]): string {
  return `[${shape.map((length) => (length < 0 ? '?' : length)).join(', ')}]`;
}

/** Checks the datatype of an input. @throws ProtocolError 'invalid'. */
export function checkDatatype(value: unknown, input: string): Datatype {
  if (typeof value === 'string' && Object.hasOwn(table, value)) return value as Datatype;
  throw invalid(
    `input ${show(input)}: datatype must be one of ${Object.keys(table).join(', ')}, but is ${show(value)}`,
  );
}

/** Checks the shape of an input: whole numbers from 0 with a limited product. @throws ProtocolError 'invalid'. */
export function checkShape(value: unknown, input: string): number[] {
  if (!Array.isArray(value) || value.length > maxAxes) {
    throw invalid(
      `input ${show(input)}: shape must be an array of at most ${maxAxes} lengths, but is ${show(value)}`,
    );
  }
  let product = 1;
  for (const length of value as unknown[]) {
    if (typeof length !== 'number' || !Number.isSafeInteger(length) || length < 0) {
      throw invalid(
        `input ${show(input)}: shape must hold whole numbers from 0, but holds ${show(length)}`,
      );
    }
    product *= Math.max(length, 1);
    if (product > maxElements) {
      throw invalid(`input ${show(input)}: shape has more than ${maxElements} elements`);
    }
  }
  return [...(value as number[])];
}

/** Checks that an input has as many bytes as its shape and datatype take. @throws ProtocolError 'invalid'. */
export function checkByteLength(tensor: WireTensor): WireTensor {
  const { name, datatype, shape, bytes } = tensor;
  const expected = elementsOf(shape) * itemSize(datatype);
  if (bytes.byteLength !== expected) {
    throw invalid(
      `input ${show(name)}: ${datatype} ${showShape(shape)} takes ${expected} bytes, but ${bytes.byteLength} came`,
    );
  }
  return tensor;
}

/** Converts numbers of a request to elements. @throws ProtocolError 'invalid' for one that does not fit. */
export function bytesOfNumbers(
  values: readonly number[],
  datatype: Datatype,
  input: string,
): Uint8Array {
  for (const value of values) {
    if (!fits(value, datatype)) {
      throw invalid(`input ${show(input)}: ${datatype} cannot hold ${show(value)}`);
    }
  }
  const data =
    datatype === 'INT64' ? BigInt64Array.from(values, BigInt) : arrayOfNumbers(values, datatype);
  return bytesOf(data);
}

function arrayOfNumbers(values: readonly number[], datatype: Datatype): TensorData {
  if (datatype === 'FP32') return Float32Array.from(values);
  if (datatype === 'INT32') return Int32Array.from(values);
  // The library rounds to nearest, ties to even.
  return new Tensor(dtypeOf(datatype), values).data;
}

function fits(value: number, datatype: Datatype): boolean {
  switch (datatype) {
    case 'FP32':
      return Number.isFinite(Math.fround(value));
    case 'FP16':
      return Math.abs(value) < 65520;
    case 'BF16':
      // Numbers from here on, half way between the largest bfloat16 and 2^128, round to infinity.
      return Math.abs(value) < 2 ** 128 - 2 ** 119;
    case 'INT64':
      return Number.isSafeInteger(value);
    case 'INT32':
      return Number.isInteger(value) && Math.abs(value + 0.5) < 2 ** 31;
  }
}

/** The elements of a floating-point tensor as float32, for JSON. */
export function numbersOf({ datatype, shape, bytes }: WireTensor): Float32Array {
  const size = elementsOf(shape);
  const array = datatype === 'FP32' ? new Float32Array(size) : new Uint16Array(size);
  bytesOf(array).set(bytes);
  return array instanceof Float32Array
    ? array
    : new Tensor(dtypeOf(datatype), array).toFloat32Array();
}

/** The bytes of a typed array, without a copy. */
export function bytesOf(data: TensorData): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}
