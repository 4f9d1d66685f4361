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

/** A counted loop: several times as fast as TypedArray.map, which counts where millions are made. */
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

/** A tensor of golden data as a tensor of the library. */
export function fromStored({ dtype, shape, values }: StoredTensor): Tensor {
  return tensorOf(dtype, shape, values);
}

/** Values as they are once stored in a dtype: what the reference has to start from. */
export function quantized(dtype: DType, values: Float64Array): Float64Array {
  if (dtype === 'int32' || dtype === 'int64' || dtype === 'float64') return values;
  return mapInto(new Float64Array(values.length), values, (x) => round(dtype, x));
}

/** The raw elements of a tensor: 16-bit ones as bits, whatever array class the runtime shows them in. */
export function rawBits(tensor: Tensor): Uint8Array {
  const { data } = tensor;
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

/** The same of a tensor on any device. */
export async function hostBits(tensor: Tensor): Promise<Uint8Array> {
  const host = await tensor.to('cpu');
  const bits = rawBits(host).slice();
  host.dispose();
  return bits;
}

/** The bits of a 16-bit tensor. */
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

/** A state dict in a dtype from exact weights. */
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
