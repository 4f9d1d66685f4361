/**
 * The number formats of the library, written independently of it. A double is rounded to each of them to
 * nearest, ties to even; other functions return how far that can move a value.
 */
export type Float = 'float64' | 'float32' | 'float16' | 'bfloat16';

/** Precision and exponent range of the 16-bit formats. */
const formats = {
  float16: { fraction: 10, minExponent: -14, infinity: 0x7c00 },
  bfloat16: { fraction: 7, minExponent: -126, infinity: 0x7f80 },
} as const;

type Half = keyof typeof formats;

const float64 = new Float64Array(1);
const words = new Uint32Array(float64.buffer);

/** ⌊log2 |x|⌋ of a normal double, from its bits. */
function exponentOf(magnitude: number): number {
  float64[0] = magnitude;
  return ((words[1]! >>> 20) & 0x7ff) - 1023;
}

/** 2^−1100 … 2^1100, because the operator ** is slow for millions of numbers. */
const powers = Float64Array.from({ length: 2201 }, (_, i) => 2 ** (i - 1100));

function power(exponent: number): number {
  return powers[exponent + 1100]!;
}

function roundHalfEven(x: number): number {
  const floor = Math.floor(x);
  const rest = x - floor;
  return rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? floor + 1 : floor;
}

/** The bits of the 16-bit number nearest to a double: one rounding, ties to even. */
export function bitsOf(format: Half, x: number): number {
  const { fraction, minExponent, infinity } = formats[format];
  if (Number.isNaN(x)) return infinity | (1 << (fraction - 1));
  const sign = x < 0 || Object.is(x, -0) ? 0x8000 : 0;
  const magnitude = Math.abs(x);
  if (magnitude === Infinity) return sign | infinity;
  const exponent = Math.max(exponentOf(magnitude), minExponent);
  // In units of the last place the significand is a whole number. If rounding carries, the exponent grows
  // by itself, up to infinity.
  const significand = roundHalfEven(magnitude * power(fraction - exponent));
  const bits = (exponent - minExponent) * power(fraction) + significand;
  return sign | Math.min(bits, infinity);
}

/** The value of a 16-bit number. */
export function valueOfBits(format: Half, bits: number): number {
  const { fraction, minExponent, infinity } = formats[format];
  const sign = bits & 0x8000 ? -1 : 1;
  const rest = bits & 0x7fff;
  if (rest > infinity) return NaN;
  if (rest === infinity) return sign * Infinity;
  const exponent = rest >> fraction;
  const significand = rest & ((1 << fraction) - 1);
  return exponent === 0
    ? sign * significand * power(minExponent - fraction)
    : sign * (significand + power(fraction)) * power(minExponent - fraction + exponent - 1);
}

/** The value of a double after it is stored in a format. */
export function round(format: Float, x: number): number {
  if (format === 'float64') return x;
  if (format === 'float32') return Math.fround(x);
  return valueOfBits(format, bitsOf(format, x));
}

/** Half a unit in the last place of 1, relative; and half of the smallest subnormal. */
const units: Record<Float, readonly [number, number]> = {
  float64: [2 ** -53, 2 ** -1075],
  float32: [2 ** -24, 2 ** -150],
  float16: [2 ** -11, 2 ** -25],
  bfloat16: [2 ** -8, 2 ** -134],
};

/** The largest error of one rounding to a format, for a value of this magnitude. */
export function roundoff(format: Float, x: number): number {
  const [relative, absolute] = units[format];
  return relative * Math.abs(x) + absolute;
}

/** Values beyond this one round to infinity in the format. */
export function overflowAt(format: Float): number {
  if (format === 'float16') return 65520;
  if (format === 'bfloat16') return (2 - 2 ** -8) * 2 ** 127;
  return format === 'float32' ? (2 - 2 ** -24) * 2 ** 127 : Number.MAX_VALUE;
}
