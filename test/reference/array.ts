import { round, roundoff, type Float } from './rounding.js';

/**
 * An array of exact values, and how far from them a right implementation may be. That follows from the
 * dtypes alone. Every rounding that test/golden/README.md lists adds its half unit in the last place, and every
 * operation passes on the deviations of its inputs. So both an implementation that rounds after each layer
 * and one with more precision inside pass.
 */
export interface Approx {
  readonly shape: readonly number[];
  readonly value: Float64Array;
  /** The standard deviation because of earlier roundings. These are independent, so squares add. */
  readonly sigma: Float64Array;
  /** The most that the last rounding adds to the error. */
  readonly bound: Float64Array;
}

/** The largest error allowed for element i. No rounding error reaches six standard deviations. */
export function allowance(a: Approx, i: number): number {
  return 6 * a.sigma[i]! + a.bound[i]!;
}

/** The standard deviations, with the last rounding included (uniform over ±bound). */
export function deviations(a: Approx): Float64Array {
  return a.sigma.map((sigma, i) => Math.hypot(sigma, a.bound[i]! / Math.sqrt(3)));
}

/** The number of elements of a shape. */
export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, length) => product * length, 1);
}

/** Exact values without deviation: inputs and weights. */
export function exact(shape: readonly number[], values: ArrayLike<number>): Approx {
  if (values.length !== sizeOf(shape))
    throw new Error(`${values.length} values for [${shape.join()}]`);
  const none = new Float64Array(values.length);
  return { shape, value: new Float64Array(values), sigma: none, bound: none };
}

/** Values that are stored in a format: they stay exact, and the allowance grows. */
export function stored(a: Approx, format: Float): Approx {
  const sigma = deviations(a);
  return {
    ...a,
    sigma,
    bound: a.value.map((x, i) => roundoff(format, Math.abs(x) + 6 * sigma[i]!)),
  };
}

/** Exact inputs that are converted to the layer's dtype: the values themselves are rounded. */
export function converted(a: Approx, format: Float): Approx {
  return { ...a, value: a.value.map((x) => round(format, x)) };
}

export function reshape(a: Approx, shape: readonly number[]): Approx {
  if (sizeOf(shape) !== a.value.length)
    throw new Error(`[${a.shape.join()}] is not [${shape.join()}]`);
  return { ...a, shape };
}

/** The sum of two arrays of one shape. */
export function add(a: Approx, b: Approx): Approx {
  if (a.value.length !== b.value.length)
    throw new Error(`[${a.shape.join()}] + [${b.shape.join()}]`);
  const [left, right] = [deviations(a), deviations(b)];
  return {
    shape: a.shape,
    value: a.value.map((x, i) => x + b.value[i]!),
    sigma: left.map((sigma, i) => Math.hypot(sigma, right[i]!)),
    bound: new Float64Array(a.value.length),
  };
}

/** An array of another shape whose element i is the element `from(i)` of this one. */
export function pick(a: Approx, shape: readonly number[], from: (i: number) => number): Approx {
  const size = sizeOf(shape);
  const out = {
    shape,
    value: new Float64Array(size),
    sigma: new Float64Array(size),
    bound: new Float64Array(size),
  };
  for (let i = 0; i < size; i++) {
    const at = from(i);
    out.value[i] = a.value[at]!;
    out.sigma[i] = a.sigma[at]!;
    out.bound[i] = a.bound[at]!;
  }
  return out;
}

/** Some rows of a matrix, in the order named. */
export function takeRows(a: Approx, rows: readonly number[]): Approx {
  const width = a.shape.at(-1)!;
  return pick(a, [rows.length, width], (i) => rows[Math.floor(i / width)]! * width + (i % width));
}

/** Two matrices of equal height side by side. */
export function concatColumns(a: Approx, b: Approx): Approx {
  const join = (x: Float64Array, y: Float64Array): Float64Array => Float64Array.from([...x, ...y]);
  const all = {
    shape: [],
    value: join(a.value, b.value),
    sigma: join(a.sigma, b.sigma),
    bound: join(a.bound, b.bound),
  };
  const [height, left] = a.shape as [number, number];
  const width = left + b.shape[1]!;
  return pick(all, [height, width], (i) => {
    const [row, column] = [Math.floor(i / width), i % width];
    return column < left
      ? row * left + column
      : a.value.length + row * (width - left) + column - left;
  });
}
