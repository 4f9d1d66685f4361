import type { DdimStep } from './ddim.js';

/**
 * The error of one forward in float32, relative to the largest result. One rounding is 2^-24; eight of them
 * are allowed for sums in another order than PyTorch's. The tiny model's first step has an error of one.
 */
const forwardError = 2 ** -21;

/**
 * A bound for the distance between the latents of two runs after each step, because of float32 rounding. A
 * step multiplies the distance so far by `ofSample`. It adds the error of the guided noise (1 − g)·negative
 * + g·wanted: at most |ofNoise| · (2g − 1) · `forwardError` · the largest noise. The bound leaves out that
 * the blocks then read slightly different latents; how much that adds was not measured.
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
    // A NaN must not count as a small difference.
    const difference = Math.abs(a[i]! - b[i]!);
    if (!(difference <= largest)) largest = difference;
  }
  return largest;
}
