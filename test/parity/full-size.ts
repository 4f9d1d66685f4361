import { tableDtype } from '../support/devices.js';
import type { Tensor } from '../../lib/index.js';
import { exact, takeRows, type Approx } from '../reference/array.js';
import { captionProjection } from '../reference/layers.js';
import { patchEmbed, type Token } from '../reference/patch-embed.js';
import type { Float } from '../reference/rounding.js';
import { hash } from '../support/random.js';
import { quantized, valuesOf } from '../support/tensors.js';
import { latteCases } from './latte-cases.js';
import { everyDtype } from './rows.js';
import { tensorsOf, weightsOf, type Case } from './run.js';

const { 'timestep-2': _, ...large } = latteCases;

/** Results larger than the caches, in every dtype. The small 'timestep-2' is in `cases.ts`. */
export const fullSizeCases: readonly Case[] = Object.entries(large).flatMap(([note, rest]) =>
  everyDtype(rest.op, [{ note, options: rest.options, inputs: { ...rest.inputs } }]),
);

/** The first row, the last, and some between them; the same in every run. */
function sampleRows(count: number, samples: number): number[] {
  const between = Array.from({ length: samples - 2 }, (_, i) => hash(samples, i) % count);
  return [0, count - 1, ...between];
}

/** Some rows of a full-size result, and what the reference computes for them. */
export function sample(
  c: Case,
  result: Tensor,
  device: string,
): { got: Float64Array; expected: Approx } {
  const weights = weightsOf(c);
  const width = result.shape.at(-1)!;
  const count = result.size / width;
  const got = (rows: number[]): Float64Array =>
    Float64Array.from(rows.flatMap((row) => [...valuesOf(result, row * width, (row + 1) * width)]));
  const input = Object.values(tensorsOf(c))[0]!;
  const given = exact(input.shape, quantized(c.dtype, valuesOf(input)));
  if (c.op === 'CaptionProjection') {
    const rows = sampleRows(count, 6);
    const caption = takeRows({ ...given, shape: [count, input.shape.at(-1)!] }, rows);
    return {
      got: got(rows),
      expected: captionProjection(weights, caption, c.dtype as Float),
    };
  }
  const rows = sampleRows(count, 300);
  const perFrame = result.shape[1]!;
  const tokens = rows.map((row): Token => [Math.floor(row / perFrame), row % perFrame]);
  return {
    got: got(rows),
    expected: patchEmbed(
      c.options,
      weights,
      given,
      c.dtype as Float,
      tokens,
      tableDtype(device, c.dtype),
    ),
  };
}
