import type { DdimStep } from './ddim.js';

/**
 * The error of one forward in float32, as a part of the largest result. One rounding is 2^-24; eight of
 * them are allowed for sums in another order than PyTorch's. The tiny model's first step shows one.
 */
const forwardError = 2 ** -21;

/**
 * How far apart float32 rounding may bring the latents of two runs after each step. A step multiplies
 * the distance so far by `ofSample`, and adds the error of the guided noise
 * (1 − g)·negative + g·wanted: at most |ofNoise| · (2g − 1) · `forwardError` · the largest noise. That the
 * blocks then see slightly other latents is left out; how much that adds was not measured.
 */
export function roundingBounds(
  steps: readonly DdimStep[],
  guidanceScale: number,
  largestNoise: number,
): number[] {
  let distance = 0;
  return steps.map(({ ofSample, ofNoise }) => {
    const noiseError = (2 * guidanceScale - 1) * forwardError * largestNoise;
    distance = ofSample * distance + Math.abs(ofNoise) * noiseError;
    return distance;
  });
}

export function largestDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let largest = a.length === b.length ? 0 : Infinity;
  for (let i = 0; i < a.length; i++) {
    // NaN must not pass for a small difference.
    const difference = Math.abs(a[i]! - b[i]!);
    if (!(difference <= largest)) largest = difference;
  }
  return largest;
}
