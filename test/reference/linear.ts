import { deviations, type Approx } from './array.js';

/** Half a unit in the last place of a float32, in which layers accumulate. */
const u32 = 2 ** -24;

/**
 * y = x·Wᵀ + b over the last axis; weight [out, in].
 *
 * The deviation of a float32 accumulation from the exact sum: the partial sum of k products of random sign
 * has size √k·rms. K roundings of up to u times that (over √3 on average) add up in squares to u·rms·K/√6.
 * The |sum| term covers sums that grow in one direction. The deviations of the inputs are independent of
 * each other, and also add in squares.
 */
export function linear(x: Approx, weight: Approx, bias?: Approx): Approx {
  const [outs, ins] = weight.shape as [number, number];
  const rows = x.value.length / ins;
  if (x.shape.at(-1) !== ins) throw new Error(`[${x.shape.join()}] × [${weight.shape.join()}]`);
  const value = new Float64Array(rows * outs);
  const sigma = new Float64Array(rows * outs);
  const w = weight.value;
  const given = deviations(x);
  for (let row = 0; row < rows; row++) {
    const from = row * ins;
    for (let out = 0; out < outs; out++) {
      let sum = 0;
      let squares = 0;
      let carried = 0;
      for (let k = 0; k < ins; k++) {
        const factor = w[out * ins + k]!;
        const product = x.value[from + k]! * factor;
        const deviation = given[from + k]! * factor;
        sum += product;
        squares += product * product;
        carried += deviation * deviation;
      }
      const b = bias?.value[out] ?? 0;
      const accumulated = u32 * Math.sqrt(ins) * (0.5 * Math.sqrt(squares) + 0.35 * Math.abs(sum));
      const added = u32 * (Math.abs(b) + Math.abs(sum + b));
      value[row * outs + out] = sum + b;
      sigma[row * outs + out] = Math.hypot(accumulated, added, Math.sqrt(carried));
    }
  }
  return {
    shape: [...x.shape.slice(0, -1), outs],
    value,
    sigma,
    bound: new Float64Array(value.length),
  };
}

/** LayerNorm over the last axis, with the roundings of float32. */
export function layerNorm(x: Approx, epsilon = 1e-6, weight?: Approx, bias?: Approx): Approx {
  const width = x.shape.at(-1)!;
  const rows = x.value.length / width;
  const value = new Float64Array(x.value.length);
  const sigma = new Float64Array(x.value.length);
  const given = deviations(x);
  for (let row = 0; row < rows; row++) {
    const values = x.value.subarray(row * width, (row + 1) * width);
    const deviation = given.subarray(row * width, (row + 1) * width);
    const mean = values.reduce((sum, v) => sum + v, 0) / width;
    const variance = values.reduce((sum, v) => sum + (v - mean) ** 2, 0) / width;
    const scale = Math.sqrt(variance + epsilon);
    // d(norm) = (dx − mean(dx) − norm·mean(norm·dx)) / scale; the means deviate by rms/√width.
    const rms = Math.sqrt(deviation.reduce((sum, d) => sum + d * d, 0) / width) / Math.sqrt(width);
    const own = u32 * 4 * (1 + Math.abs(mean) / scale);
    for (let i = 0; i < width; i++) {
      const norm = (values[i]! - mean) / scale;
      const [w, b] = [weight?.value[i] ?? 1, bias?.value[i] ?? 0];
      value[row * width + i] = norm * w + b;
      sigma[row * width + i] =
        (Math.hypot(deviation[i]!, rms, norm * rms) / scale + own * (1 + Math.abs(norm))) *
          Math.abs(w) +
        u32 * Math.abs(b);
    }
  }
  return { shape: x.shape, value, sigma, bound: new Float64Array(value.length) };
}

/** The error function in double precision: a series for small x, a continued fraction for others. */
function erf(x: number): number {
  const a = Math.abs(x);
  if (a > 6) return Math.sign(x);
  if (a < 2.5) {
    let term = a;
    let sum = a;
    for (let n = 1; Math.abs(term) > 1e-18 * Math.abs(sum); n++) {
      term *= (-a * a) / n;
      sum += term / (2 * n + 1);
      if (n > 200) break;
    }
    return (Math.sign(x) * 2 * sum) / Math.sqrt(Math.PI);
  }
  let fraction = 0;
  for (let n = 60; n > 0; n--) fraction = n / 2 / (a + fraction);
  return Math.sign(x) * (1 - Math.exp(-a * a) / (Math.sqrt(Math.PI) * (a + fraction)));
}

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));
const silu = (x: number): number => (x === -Infinity ? 0 : x * sigmoid(x));

/** Each function by its name, and the largest slope that it has. */
const functions: Record<string, readonly [(x: number) => number, number]> = {
  silu: [silu, 1.1],
  swish: [silu, 1.1],
  relu: [(x) => Math.max(x, 0), 1],
  mish: [(x) => x * Math.tanh(Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)))), 1.1],
  gelu: [(x) => 0.5 * x * (1 + erf(x / Math.SQRT2)), 1.13],
  'gelu-tanh': [
    (x) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3))),
    1.13,
  ],
};

/**
 * Applies a function element by element in float32: an error of a unit or two, relative to x if it cancels.
 */
export function activation(x: Approx, name: string): Approx {
  const [f, slope] = functions[name.toLowerCase()]!;
  return {
    shape: x.shape,
    value: x.value.map(f),
    sigma: deviations(x).map((deviation) => deviation * slope),
    bound: x.value.map((value) => 4 * u32 * Math.abs(value)),
  };
}
