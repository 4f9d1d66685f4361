// Checks and converts what a caller makes a tensor of: shapes, typed arrays and numbers.
import { types } from 'node:util';
import { arraysOf, itemSize, type DType, type TensorData } from './dtype.js';
import { isArray, LatteError, show, typedArrayField, typedArrayKind } from '../errors.js';
import { handleList, native } from '../native.js';

// The address space of a process. Below it, sizes in bytes are exact in JavaScript and in C++.
const maxBytes = 2 ** 47;

/**
 * Checks a shape that the caller gave: at most 32 whole numbers from 0, and 2^47 bytes.
 * @throws LatteError ERR_SHAPE.
 * @internal
 */
export function checkShape(shape: unknown, bytesPerElement: number, name = 'shape'): number[] {
  if (!isArray(shape)) {
    throw new LatteError(
      'ERR_SHAPE',
      `${name} must be an array of axis lengths, but is ${show(shape)}`,
    );
  }
  // Read once: a proxy may return another length at each read.
  const axes = shape.length;
  if (axes > 32) {
    throw new LatteError('ERR_SHAPE', `${name} may have 32 axes at the most, but has ${axes}`);
  }
  const lengths = Array.from({ length: axes }, (_, i) => shape[i]);
  let bytes = bytesPerElement;
  for (const length of lengths) {
    if (typeof length !== 'number' || !Number.isSafeInteger(length) || length < 0) {
      throw new LatteError(
        'ERR_SHAPE',
        `${name} must hold whole numbers from 0, but is ${show(shape)}`,
      );
    }
    if (length > 0) bytes *= length;
    if (bytes > maxBytes) {
      throw new LatteError('ERR_SHAPE', `${name} ${show(shape)} asks for more than 2^47 bytes`);
    }
  }
  return lengths as number[];
}

/**
 * Checks a typed array that the caller gave as the data of a tensor.
 * @returns an array over the same memory: of the class of `tensor.data`, with a fixed length.
 * @throws LatteError ERR_DTYPE for an array of another kind, ERR_VALUE for a SharedArrayBuffer,
 *   ERR_STATE for a detached ArrayBuffer.
 * @internal
 */
export function checkArray(dtype: DType, data: TensorData): TensorData {
  const { accepted, array: OwnKind } = arraysOf(dtype);
  const name = typedArrayKind(data);
  const Kind = accepted.find((kind) => kind.name === name);
  if (Kind === undefined) {
    const kinds = accepted.map((kind) => kind.name).join(' or ');
    throw new LatteError(
      'ERR_DTYPE',
      `data of a ${dtype} tensor must be a ${kinds} or an array of numbers, but is ${show(data)}`,
    );
  }
  const buffer = typedArrayField(data, 'buffer');
  if (types.isSharedArrayBuffer(buffer)) {
    throw new LatteError(
      'ERR_VALUE',
      'data lies in a SharedArrayBuffer, which another thread may change in the middle of a computation; copy it first: data.slice()',
    );
  }
  try {
    new Uint8Array(buffer);
  } catch {
    throw new LatteError('ERR_STATE', 'data lies in a detached ArrayBuffer');
  }
  // An array over a resizable buffer may follow the buffer's length, and so outgrow the tensor's
  // shape. Float16 data in a Uint16Array becomes a Float16Array if the runtime has that class.
  return isResizable(buffer) || Kind !== OwnKind
    ? new OwnKind(buffer, typedArrayField(data, 'byteOffset'), typedArrayField(data, 'length'))
    : data;
}

/**
 * The array that the addon takes, over the same memory: a Uint16Array for 16-bit dtypes, else
 * `array` itself. The addon does not know Float16Array.
 * @internal
 */
export function bitsOf(dtype: DType, array: TensorData): TensorData {
  if (itemSize(dtype) !== 2) return array;
  return new Uint16Array(
    typedArrayField(array, 'buffer'),
    typedArrayField(array, 'byteOffset'),
    typedArrayField(array, 'length'),
  );
}

// eslint-disable-next-line @typescript-eslint/unbound-method -- called with Reflect.apply
const resizableOf = Object.getOwnPropertyDescriptor(ArrayBuffer.prototype, 'resizable')!.get as (
  this: unknown,
) => unknown;

function isResizable(buffer: ArrayBufferLike): boolean {
  return Reflect.apply(resizableOf, buffer, []) as boolean;
}

/** The first values of a tensor on the cpu as text: `[0.5, 1, …]`. @internal */
export function firstValues(dtype: DType, data: TensorData): string {
  const length = typedArrayField(data, 'length');
  const first = new (arraysOf(dtype).array)(
    typedArrayField(data, 'buffer'),
    typedArrayField(data, 'byteOffset'),
    Math.min(length, 6),
  );
  const values =
    first instanceof Uint16Array
      ? fromBits(dtype, first)
      : Array.from(first as ArrayLike<number | bigint>);
  const texts = values.map((value) =>
    typeof value === 'bigint' ? String(value) : String(Number(value.toPrecision(6))),
  );
  return `[${[...texts, ...(length > first.length ? ['…'] : [])].join(', ')}]`;
}

function fromBits(dtype: DType, bits: Uint16Array): number[] {
  return [...new Float32Array(converted(dtype, bits, 'float32'))];
}

/**
 * Makes the data of a tensor of numbers, each rounded once, to nearest, ties to even.
 * @throws LatteError ERR_VALUE for an element that is no number, or that an integer dtype cannot
 *   hold; ERR_OUT_OF_MEMORY.
 * @internal
 */
export function fromNumbers(dtype: DType, values: readonly unknown[], name: string): TensorData {
  // A float64 array holds every number exactly. The addon then rounds once to a 16-bit dtype; two
  // roundings, with float32 between, could give another result.
  const exact = allocateFloat64(values.length, name);
  for (let i = 0; i < exact.length; i++) {
    const value = values[i];
    if (typeof value !== 'number') {
      throw new LatteError(
        'ERR_VALUE',
        `${name} must hold numbers, but ${name}[${i}] is ${show(value)}`,
      );
    }
    exact[i] = value;
  }
  if (dtype === 'float64') return exact;
  if (dtype === 'float32') return Float32Array.from(exact);
  if (dtype === 'int32' || dtype === 'int64') {
    const bad = exact.findIndex(
      (value) => !Number.isSafeInteger(value) || (dtype === 'int32' && value !== (value | 0)),
    );
    if (bad >= 0) {
      throw new LatteError(
        'ERR_VALUE',
        `${name}[${bad}] of an ${dtype} tensor must be a whole number in its range, but is ${exact[bad]}`,
      );
    }
    return dtype === 'int32'
      ? Int32Array.from(exact)
      : BigInt64Array.from(Array.from(exact, BigInt));
  }
  return new Uint16Array(converted('float64', exact, dtype), 0, exact.length);
}

/** Memory with the elements of `values`, converted to another dtype. */
function converted(from: DType, values: TensorData, to: DType): ArrayBuffer {
  const results = handleList(1);
  const source = native.tensorFrom(from, [values.length], values);
  native.convertSync(source, to, 'cpu', results);
  const written = false;
  return native.arrayBuffer(results[0]!, written);
}

function allocateFloat64(length: number, name: string): Float64Array {
  try {
    return new Float64Array(length);
  } catch (cause) {
    throw new LatteError('ERR_OUT_OF_MEMORY', `no memory for the ${length} numbers of ${name}`, {
      cause,
    });
  }
}
