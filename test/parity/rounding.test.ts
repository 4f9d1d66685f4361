import { describe, expect, it } from 'vitest';
import type { Tensor } from '../../lib/index.js';
import { sizeOf, type Approx } from '../reference/array.js';
import { positionTable } from '../reference/patch-embed.js';
import { round } from '../reference/rounding.js';
import { computes, tableDtype, testedDevices } from '../support/devices.js';
import { valuesOf } from '../support/tensors.js';
import { compute, nameOf, operandsOf, type Case } from './run.js';

// The table's allowances would accept a truncation instead of a rounding. Here each element must be one of
// the two right results: rounded once at the end, or after the convolution and again. An NPU without the
// plugin also rounds the table first.

const cases = (['float16', 'bfloat16'] as const).flatMap((dtype): Case[] =>
  [
    { height: 8, width: 8, patchSize: 2, inChannels: 4, embedDim: 64 },
    { height: 6, width: 6, patchSize: 1, inChannels: 5, embedDim: 20, bias: false },
  ].map((options) => ({
    op: 'PatchEmbed',
    dtype,
    note: `rounded, p=${options.patchSize}`,
    options,
    inputs: { latent: { shape: [3, options.inChannels, options.height, options.width] } },
  })),
);

/** The exact convolution of each token. */
function convolution(c: Case, weights: Record<string, Approx>, latent: Approx): Float64Array {
  const { patchSize: p, embedDim, inChannels } = c.options as Record<string, number>;
  const [batch, , height, width] = latent.shape as [number, number, number, number];
  const [h, w] = [height / p!, width / p!];
  const kernel = weights['proj.weight']!.value;
  return Float64Array.from({ length: batch * h * w * embedDim! }, (_, i) => {
    const [token, d] = [Math.floor(i / embedDim!), i % embedDim!];
    const [b, row, column] = [Math.floor(token / (h * w)), Math.floor(token / w) % h, token % w];
    let sum = weights['proj.bias']?.value[d] ?? 0;
    for (let k = 0; k < inChannels! * p! * p!; k++) {
      const [channel, y, x] = [Math.floor(k / (p! * p!)), Math.floor(k / p!) % p!, k % p!];
      const pixel = ((b * inChannels! + channel) * height + row * p! + y) * width + column * p! + x;
      sum += latent.value[pixel]! * kernel[d * inChannels! * p! * p! + k]!;
    }
    return sum;
  });
}

describe.each(testedDevices)('half types on %s', (device) => {
  const computed = cases.filter(({ dtype }) => computes(device, dtype));
  it.each(computed.map((c) => [nameOf(c), c] as const))('%s', async (_, c) => {
    const { weights, inputs } = operandsOf(c);
    const latent = inputs.latent!;
    const [[result]] = (await compute(c, device, ['forward'])) as [[Tensor]];
    const got = valuesOf(await result.to('cpu'));
    const { embedDim, height, width, patchSize } = c.options as Record<string, number>;
    const table = positionTable(c.options, height! / patchSize!, width! / patchSize!).value;
    const exact = convolution(c, weights, latent);
    expect(exact).toHaveLength(sizeOf(result.shape));
    const half = c.dtype as 'float16';
    const tableRounded = tableDtype(device, c.dtype) !== 'float32';
    const wrong = exact.findIndex((sum, i) => {
      const float = Math.fround(table[i % table.length]!);
      const position = tableRounded ? round(half, float) : float;
      // Rounding errors of float32 move the sum a little, which matters only next to a tie, or if a patch
      // and its position cancel.
      const slack = 2 ** -20;
      const between = (result: (off: number) => number) =>
        result(-slack) <= got[i]! && got[i]! <= result(slack);
      return !(
        between((off) => round(half, sum + position + off)) ||
        between((off) => round(half, Math.fround(round(half, sum + off) + position)))
      );
    });
    expect(wrong, `element ${wrong} of width ${embedDim}`).toBe(-1);
  });
});
