import { Tensor, type DType } from '../../lib/index.js';
import type { Approx } from '../reference/array.js';
import { bitsOf, round, valueOfBits } from '../reference/rounding.js';
import type { StoredTensor } from './safetensors.js';

type Half = 'float16' | 'bfloat16';

function isHalf(dtype: DType): dtype is Half {
  return dtype === 'float16' || dtype === 'bfloat16';
}

/** A typed array of the kind that holds a dtype, with these values. */
export function arrayOf(dtype: DType, values: ArrayLike<number>): Tensor['data'] {
  switch (dtype) {
    case 'float64':
      return new Float64Array(values);
    case 'float32':
      return new Float32Array(values);
    case 'int32':
      return new Int32Array(values);
    case 'int64':
      return BigInt64Array.from(Array.from(values, BigInt));
    default:
      return mapInto(new Uint16Array(values.length), values, (x) => bitsOf(dtype, x));
  }
}

/** A counted loop, because TypedArray.map takes several times as long for millions of elements. */
function mapInto<T extends Uint16Array | Float64Array>(
  target: T,
  values: ArrayLike<number>,
  convert: (x: number) => number,
): T {
  for (let i = 0; i < target.length; i++) target[i] = convert(values[i]!);
  return target;
}

/** A tensor on the cpu with these values. */
export function tensorOf(
  dtype: DType,
  shape: readonly number[],
  values: ArrayLike<number>,
): Tensor {
  return new Tensor(dtype, arrayOf(dtype, values), [...shape]);
}

/** Makes a tensor of the library from one of the golden data. */
export function fromStored({ dtype, shape, values }: StoredTensor): Tensor {
  return tensorOf(dtype, shape, values);
}

/** The values after they are stored in a dtype, from which the reference starts. */
export function quantized(dtype: DType, values: Float64Array): Float64Array {
  if (dtype === 'int32' || dtype === 'int64' || dtype === 'float64') return values;
  return mapInto(new Float64Array(values.length), values, (x) => round(dtype, x));
}

/** The bytes of a tensor's elements, whatever class of array shows them. */
export function rawBits(tensor: Tensor): Uint8Array {
  const { data } = tensor;
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

/** The same for a tensor on any device. */
export async function hostBits(tensor: Tensor): Promise<Uint8Array> {
  const host = await tensor.to('cpu');
  const bits = rawBits(host).slice();
  host.dispose();
  return bits;
}

/** The bits of a tensor with a 16-bit dtype. */
export function halfBits(tensor: Tensor): Uint16Array {
  const { data } = tensor;
  return new Uint16Array(data.buffer, data.byteOffset, data.length);
}

/** Some elements of a tensor as doubles, decoded by the reference's own rules. */
export function valuesOf(tensor: Tensor, from = 0, to = tensor.size): Float64Array {
  const { dtype, data } = tensor;
  if (isHalf(dtype)) {
    const bits = halfBits(tensor).subarray(from, to);
    return mapInto(new Float64Array(bits.length), bits, (x) => valueOfBits(dtype, x));
  }
  if (dtype === 'int64')
    return Float64Array.from((data as BigInt64Array).subarray(from, to), Number);
  return new Float64Array((data as Float32Array).subarray(from, to));
}

/** Makes a state dict in a dtype from exact weights. */
export function stateDict(
  dtype: DType,
  weights: Readonly<Record<string, Approx>>,
): Record<string, Tensor> {
  return Object.fromEntries(
    Object.entries(weights).map(([name, { shape, value }]) => [
      name,
      tensorOf(dtype, shape, value),
    ]),
  );
}
