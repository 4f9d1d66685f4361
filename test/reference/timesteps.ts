import { type Approx } from './array.js';

export interface TimestepOptions {
  flipSinToCos?: boolean;
  downscaleFreqShift?: number;
  scale?: number;
  maxPeriod?: number;
}

const u32 = 2 ** -24;

/**
 * [sin | cos] of scale·f32(t)·exp(−ln(maxPeriod)·i/(half−shift)); a column of zeros completes an odd width.
 * The bound is that of float32 arithmetic: the exponent has three roundings, the exponential two, the
 * products one each. The sine of an argument with an error of δ has an error of δ.
 */
export function timestepEmbedding(
  timesteps: ArrayLike<number>,
  dim: number,
  options: TimestepOptions = {},
): Approx {
  const { flipSinToCos = false, downscaleFreqShift = 1, scale = 1, maxPeriod = 10000 } = options;
  const half = Math.floor(dim / 2);
  const value = new Float64Array(timesteps.length * dim);
  const bound = new Float64Array(timesteps.length * dim);
  for (let row = 0; row < timesteps.length; row++) {
    for (let i = 0; i < half; i++) {
      const exponent = (-Math.log(maxPeriod) * i) / (half - downscaleFreqShift);
      const argument = scale * (Math.fround(timesteps[row]!) * Math.exp(exponent));
      const steepness = Number.isFinite(exponent) ? 3 * Math.abs(exponent) : 0;
      const distance = Math.min(
        2,
        Math.abs(argument) * u32 * (steepness + (scale === 1 ? 3 : 4)) + 2 * u32,
      );
      const at = row * dim + i;
      value[at + (flipSinToCos ? half : 0)] = Math.sin(argument);
      value[at + (flipSinToCos ? 0 : half)] = Math.cos(argument);
      bound[at] = bound[at + half] = distance;
    }
  }
  return { shape: [timesteps.length, dim], value, sigma: new Float64Array(value.length), bound };
}
