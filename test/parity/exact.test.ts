import { describe, expect, it } from 'vitest';
import { TimestepEmbedding, type FloatDType } from '../../lib/index.js';
import { computes, testedDevices } from '../support/devices.js';
import { integers } from '../support/random.js';
import { quantized, tensorOf, valuesOf } from '../support/tensors.js';

// Sums of whole numbers below 2^24 have no rounding error, in any order. So a matrix product of them, with
// relu, must be right to the last bit. Only the result itself is rounded: to nearest, ties to even.

const dtypes: readonly FloatDType[] = ['float32', 'float16', 'bfloat16'];

/** relu(x·W1ᵀ + b1)·W2ᵀ + b2 in whole numbers, with the middle stored in the dtype. */
function expected(
  dtype: FloatDType,
  rows: number,
  k: number,
  n: number,
  m: number,
  data: Record<string, Float64Array>,
): Float64Array {
  const { sample, w1, b1, w2, b2 } = data as Record<
    'sample' | 'w1' | 'b1' | 'w2' | 'b2',
    Float64Array
  >;
  const product = (
    x: Float64Array,
    w: Float64Array,
    b: Float64Array,
    ins: number,
    outs: number,
  ): Float64Array => {
    const y = new Float64Array(rows * outs);
    for (let row = 0; row < rows; row++) {
      for (let out = 0; out < outs; out++) {
        let sum = b[out]!;
        for (let i = 0; i < ins; i++) sum += x[row * ins + i]! * w[out * ins + i]!;
        y[row * outs + out] = sum;
      }
    }
    return quantized(dtype, y);
  };
  const hidden = product(sample, w1, b1, k, n).map((x) => Math.max(x, 0));
  return product(hidden, w2, b2, n, m);
}

describe.each(testedDevices)('whole numbers on %s', (device) => {
  for (const dtype of dtypes.filter((dtype) => computes(device, dtype))) {
    for (const [rows, k, n, m] of [
      [1, 1, 1, 1],
      [1, 8, 16, 8],
      [2, 17, 33, 15],
      [5, 31, 64, 65],
      [13, 64, 129, 31],
      [66, 7, 48, 97],
      [3, 1025, 19, 9],
      [130, 40, 40, 40],
    ] as const) {
      it(`${dtype}, ${rows} rows, ${k} → ${n} → ${m}`, async () => {
        const name = `${dtype} ${rows} ${k} ${n} ${m}`;
        // Few inputs have a weight of ±1, so that the middle is exact in half types. The second product
        // reaches thousands, where ties occur.
        const data = {
          sample: integers(`${name} x`, rows * k, 1).map((x, i) => ((i % k) % 7 === i % 3 ? x : 0)),
          w1: integers(`${name} w1`, n * k, 1),
          b1: integers(`${name} b1`, n, 3),
          w2: integers(`${name} w2`, m * n, 100),
          b2: integers(`${name} b2`, m, 100),
        };
        const layer = new TimestepEmbedding({
          inChannels: k,
          timeEmbedDim: n,
          outDim: m,
          actFn: 'relu',
          device,
          dtype,
        });
        layer.loadStateDict({
          'linear_1.weight': tensorOf(dtype, [n, k], data.w1),
          'linear_1.bias': tensorOf(dtype, [n], data.b1),
          'linear_2.weight': tensorOf(dtype, [m, n], data.w2),
          'linear_2.bias': tensorOf(dtype, [m], data.b2),
        });
        const result = await (
          await layer.forward(tensorOf(dtype, [rows, k], data.sample))
        ).to('cpu');
        const right = expected(dtype, rows, k, n, m, data);
        // The sign of a zero is not specified; + 0 removes it.
        expect(Array.from(valuesOf(result), (x) => x + 0)).toEqual(Array.from(right, (x) => x + 0));
        layer.dispose();
      });
    }

    it(`${dtype}: results that lie between two numbers go to the even one`, async () => {
      // 64 samples have consecutive whole numbers from 2^p on; the half types have only every second or
      // fourth of these.
      const from = { float32: 2 ** 24 - 32, float16: 2048, bfloat16: 256 }[dtype];
      const layer = new TimestepEmbedding({
        inChannels: 1,
        timeEmbedDim: 2,
        outDim: 2,
        actFn: 'relu',
        device,
        dtype,
      });
      layer.loadStateDict({
        'linear_1.weight': tensorOf(dtype, [2, 1], [1, -1]),
        'linear_1.bias': tensorOf(dtype, [2], [0, 0]),
        'linear_2.weight': tensorOf(dtype, [2, 2], [1, 1, -1, -1]),
        'linear_2.bias': tensorOf(dtype, [2], [from, -from]),
      });
      const samples = Float64Array.from({ length: 64 }, (_, i) => i);
      const result = await (await layer.forward(tensorOf(dtype, [64, 1], samples))).to('cpu');
      const right = quantized(
        dtype,
        Float64Array.from(samples).map((x) => from + x),
      );
      expect(Array.from(valuesOf(result))).toEqual(Array.from(right).flatMap((x) => [x, -x]));
      layer.dispose();
    });
  }
});
