import { describe, expect, it } from 'vitest';
import { TimestepEmbedding, type Tensor } from '../../lib/index.js';
import * as reference from '../reference/layers.js';
import { randomWeights } from '../support/layers.js';
import { computes } from '../support/devices.js';
import { uniform } from '../support/random.js';
import { tensorOf, valuesOf } from '../support/tensors.js';
import { twin } from '../support/twin.js';

// In bfloat16 an NPU adds the biases to the weights, if the samples are on the host and finite. The first
// Ascend 910 computes only in float16, whose biases need no cast.

const dtype = computes('npu:0', 'bfloat16') ? 'bfloat16' : 'float16';
const unfolded = dtype === 'bfloat16' ? 5 : 3;

describe(`TimestepEmbedding in ${dtype}`, () => {
  async function run(device: string, samples: number[], on: string): Promise<number[]> {
    const layer = new TimestepEmbedding({
      inChannels: 20,
      timeEmbedDim: 24,
      outDim: 8,
      device,
      dtype,
    });
    layer.loadStateDict(randomWeights(reference.mlpParameters('', 20, 24, 8), dtype));
    const sample = tensorOf(dtype, [samples.length / 20, 20], samples);
    const input = await sample.to(on);
    if (device !== 'cpu') twin().reset();
    const result = await layer.forward(input);
    const host: Tensor = await result.to('cpu');
    const values = Array.from(valuesOf(host), Number);
    layer.dispose();
    for (const tensor of [sample, input, result, host]) tensor.dispose();
    return values;
  }

  const finite = uniform('samples', 3 * 20);
  const infinite = finite.map((value, i) => (i === 25 ? Infinity : value));
  it.each([
    ['finite samples on the host', finite, 'cpu', 3],
    ['finite samples on the NPU', finite, 'npu:0', unfolded],
    ['a sample with an infinite value', infinite, 'cpu', unfolded],
  ] as const)('agrees with the cpu for %s', async (_, samples, on, kernels) => {
    const got = await run('npu:0', [...samples], on);
    expect(twin().counters().kernels).toBe(kernels);
    const wanted = await run('cpu', [...samples], 'cpu');
    // Each number is rounded twice: two units at 2.
    got.forEach((value, i) => {
      if (Number.isFinite(wanted[i])) expect(Math.abs(value - wanted[i]!)).toBeLessThan(2 ** -5);
      else expect(value).toBe(wanted[i]);
    });
  });
});
