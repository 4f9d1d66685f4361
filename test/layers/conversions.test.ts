import { describe, expect, it } from 'vitest';
import { Tensor, type DType } from '../../lib/index.js';
import { bitsOf, valueOfBits } from '../reference/rounding.js';
import { halfBits, valuesOf } from '../support/tensors.js';

type Half = 'float16' | 'bfloat16';

const everyBits = Uint16Array.from({ length: 65536 }, (_, bits) => bits);

function isNaNBits(format: Half, bits: number): boolean {
  return Number.isNaN(valueOfBits(format, bits));
}

async function convert(dtype: DType, data: Tensor['data'], to: DType): Promise<Tensor> {
  return new Tensor(dtype, data).to({ dtype: to });
}

/** The first few differences of two lists of bits: index, actual, expected. All NaNs count as equal. */
function differences(format: Half, got: Uint16Array, wanted: ArrayLike<number>): string[] {
  const list: string[] = [];
  for (let i = 0; i < wanted.length && list.length < 5; i++) {
    const same = isNaNBits(format, wanted[i]!) ? isNaNBits(format, got[i]!) : got[i] === wanted[i];
    if (!same) list.push(`[${i}] ${got[i]!.toString(16)} instead of ${wanted[i]!.toString(16)}`);
  }
  return list;
}

/** Makes float32 numbers from their bits, so that NaN payloads are kept. */
function float32FromBits(bits: number[]): Float32Array {
  return new Float32Array(Uint32Array.from(bits).buffer);
}

describe.each(['float16', 'bfloat16'] as const)('%s', (format) => {
  it('every number becomes the same float32 and float64, and comes back with the same bits', async () => {
    for (const wide of ['float32', 'float64'] as const) {
      const widened = await convert(format, everyBits, wide);
      const wanted = Float64Array.from(everyBits, (bits) => valueOfBits(format, bits));
      expect(valuesOf(widened)).toEqual(wanted);
      const back = await widened.to({ dtype: format });
      expect(differences(format, halfBits(back), everyBits)).toEqual([]);
    }
  });

  it('toFloat32Array gives the same numbers', () => {
    const wanted = Float32Array.from(everyBits, (bits) => valueOfBits(format, bits));
    expect(new Tensor(format, everyBits).toFloat32Array()).toEqual(wanted);
  });

  it('every boundary: the midpoint to the next number is even, its neighbours are not', async () => {
    const infinity = format === 'float16' ? 0x7c00 : 0x7f80;
    const around: number[] = [];
    for (let bits = 0; bits < infinity; bits++) {
      const next =
        bits + 1 === infinity
          ? 2 * valueOfBits(format, bits) - valueOfBits(format, bits - 1)
          : valueOfBits(format, bits + 1);
      const middle = (valueOfBits(format, bits) + next) / 2;
      // float32 holds every midpoint; the double next to it tests the rounding from float64.
      around.push(middle, middle * (1 - 2 ** -24), middle * (1 + 2 ** -23), -middle);
    }
    const float32 = Float32Array.from(around);
    const fromFloat32 = await convert('float32', float32, format);
    expect(
      differences(
        format,
        halfBits(fromFloat32),
        Array.from(float32, (x) => bitsOf(format, x)),
      ),
    ).toEqual([]);
    const traps = Float64Array.from(
      around.flatMap((x) => [x, x * (1 + 2 ** -52), x * (1 - 2 ** -53)]),
    );
    const fromFloat64 = await convert('float64', traps, format);
    expect(
      differences(
        format,
        halfBits(fromFloat64),
        Array.from(traps, (x) => bitsOf(format, x)),
      ),
    ).toEqual([]);
  });

  it('rounds a double once: not first to float32, then again', async () => {
    // So close above a midpoint that a rounding to float32 first would land on the midpoint.
    const ulp = format === 'float16' ? 2 ** -10 : 2 ** -7;
    const trap = 1 + ulp / 2 + 2 ** -40;
    const values = Float64Array.of(trap, -trap, 1 + 1.5 * ulp - 2 ** -40);
    const result = await convert('float64', values, format);
    expect(Array.from(valuesOf(result))).toEqual([1 + ulp, -1 - ulp, 1 + ulp]);
    expect(Array.from(valuesOf(new Tensor(format, Array.from(values))))).toEqual([
      1 + ulp,
      -1 - ulp,
      1 + ulp,
    ]);
  });

  it('NaN stays NaN, whatever its payload and sign', async () => {
    const payloads = [
      0x7fc00000, 0x7f800001, 0x7f80ffff, 0x7f801fff, 0x7f802000, 0x7fffffff, 0xff800001,
      0xffc00000, 0xffffffff,
    ];
    const result = await convert('float32', float32FromBits(payloads), format);
    for (const bits of halfBits(result)) expect(isNaNBits(format, bits)).toBe(true);
  });

  it('NaN stays NaN from float64, even where the payload lies in the lowest bits', async () => {
    const doubles = new Float64Array(
      BigUint64Array.of(
        0x7ff0000000000001n,
        0xfff0000000000001n,
        0x7ff8000000000000n,
        0x7ff00000ffffffffn,
      ).buffer,
    );
    for (const dtype of [format, 'float32'] as const) {
      const result = await convert('float64', doubles, dtype);
      expect(Array.from(valuesOf(result))).toEqual([NaN, NaN, NaN, NaN]);
    }
  });

  it('infinities, zeros of both signs, overflow and underflow', async () => {
    const values = Float32Array.of(
      Infinity,
      -Infinity,
      0,
      -0,
      3.4028235e38,
      -3.4028235e38,
      1e-45,
      -1e-45,
    );
    const result = await convert('float32', values, format);
    expect(Array.from(halfBits(result))).toEqual(Array.from(values, (x) => bitsOf(format, x)));
    expect(Array.from(halfBits(result)).slice(2, 4)).toEqual([0, 0x8000]);
  });

  it('integers round to nearest even, too', async () => {
    const integers = [0, -1, 257, 259, 2049, 2051, 65519, 65520, -65536, 2 ** 31 - 1, -(2 ** 31)];
    const result = await convert('int32', Int32Array.from(integers), format);
    expect(Array.from(valuesOf(result))).toEqual(
      integers.map((x) => valueOfBits(format, bitsOf(format, x))),
    );
    const long = await convert('int64', BigInt64Array.from(integers, BigInt), format);
    expect(Array.from(valuesOf(long))).toEqual(Array.from(valuesOf(result)));
  });

  it('a number[] holds values', () => {
    const values = [1, 0.1, -2.5, NaN, Infinity, 65519, 1e-7];
    expect(Array.from(halfBits(new Tensor(format, values)))).toEqual(
      values.map((x) => bitsOf(format, x)),
    );
  });
});

describe('bfloat16', () => {
  it.each([
    ['a tie goes down to even', 0x3f808000, 0x3f80],
    ['a tie goes up to even', 0x3f818000, 0x3f82],
    ['just above a tie', 0x3f808001, 0x3f81],
    ['just below a tie', 0x3f817fff, 0x3f81],
    ['the largest float32 overflows', 0x7f7fffff, 0x7f80],
    ['the last number that does not', 0x7f7f7fff, 0x7f7f],
    ['the tie at the end overflows', 0x7f7f8000, 0x7f80],
    ['a subnormal', 0x00010000, 0x0001],
    ['a subnormal tie goes to even', 0x00018000, 0x0002],
    ['half of the smallest is zero', 0x00008000, 0x0000],
    ['more than half of it is not', 0x00008001, 0x0001],
    ['the largest subnormal rounds up into the normal numbers', 0x007f8000, 0x0080],
    ['minus zero', 0x80000000, 0x8000],
  ])('%s', async (_, float32, bfloat16) => {
    const result = await convert('float32', float32FromBits([float32]), 'bfloat16');
    expect(halfBits(result)[0]!.toString(16)).toBe(bfloat16.toString(16));
  });
});

describe('from one 16-bit format to the other', () => {
  it('every number, rounded once', async () => {
    for (const [from, to] of [
      ['float16', 'bfloat16'],
      ['bfloat16', 'float16'],
    ] as const) {
      const result = await convert(from, everyBits, to);
      const wanted = Array.from(everyBits, (bits) => bitsOf(to, valueOfBits(from, bits)));
      expect(differences(to, halfBits(result), wanted)).toEqual([]);
    }
  });
});

describe('float64, float32 and integers', () => {
  it('float64 to float32 is Math.fround', async () => {
    const values = Float64Array.of(
      0.1,
      -1 / 3,
      1e39,
      2 ** -150,
      1 + 2 ** -24,
      1 + 3 * 2 ** -24,
      NaN,
      -0,
    );
    expect((await convert('float64', values, 'float32')).data).toEqual(Float32Array.from(values));
  });

  it('integers become the nearest float', async () => {
    const values = BigInt64Array.of(
      0n,
      -7n,
      2n ** 53n + 1n,
      16777217n,
      16777219n,
      -(2n ** 63n),
      2n ** 63n - 1n,
    );
    expect(Array.from((await convert('int64', values, 'float64')).data as Float64Array)).toEqual(
      Array.from(values, Number),
    );
    const float32 = (await convert('int64', values, 'float32')).data as Float32Array;
    expect(Array.from(float32).slice(0, 2)).toEqual([0, -7]);
    expect(Array.from(float32).slice(3)).toEqual([16777216, 16777220, -(2 ** 63), 2 ** 63]);
  });

  it('a large integer is rounded to float32 once, not by way of a double', async () => {
    // 2^60 + 2^36 is a midpoint. One more is above it, but a double cannot hold that number.
    const values = BigInt64Array.of(2n ** 60n + 2n ** 36n + 1n);
    expect((await convert('int64', values, 'float32')).data).toEqual(
      Float32Array.of(2 ** 60 + 2 ** 37),
    );
  });

  it('int32 and int64 exchange', async () => {
    const values = Int32Array.of(0, -1, 2 ** 31 - 1, -(2 ** 31));
    const long = await convert('int32', values, 'int64');
    expect(long.data).toEqual(BigInt64Array.from(values, BigInt));
    expect((await long.to({ dtype: 'int32' })).data).toEqual(values);
  });

  it('a copy of every width and length keeps its elements', async () => {
    for (const length of [0, 1, 3, 7, 8, 9, 15, 16, 17, 31, 33, 64, 65, 127, 1000]) {
      const values = Float32Array.from({ length }, (_, i) => i - 3.5);
      for (const dtype of ['float16', 'bfloat16', 'float64'] as const) {
        const there = await convert('float32', values, dtype);
        expect(there.shape).toEqual([length]);
        const wanted =
          dtype === 'float64' ? values : values.map((x) => valueOfBits(dtype, bitsOf(dtype, x)));
        expect((await there.to({ dtype: 'float32' })).data).toEqual(Float32Array.from(wanted));
      }
    }
  });
});
