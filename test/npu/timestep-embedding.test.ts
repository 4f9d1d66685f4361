import { describe, expect, it } from 'vitest';
import { TimestepEmbedding, type Tensor } from '../../lib/index.js';
import * as reference from '../reference/layers.js';
import { randomWeights } from '../support/layers.js';
import { testedDevices, computes } from '../support/devices.js';
import { uniform } from '../support/random.js';
import { tensorOf, valuesOf } from '../support/tensors.js';
import { twin } from '../support/twin.js';

// In bfloat16 an NPU folds the biases into the weights, if the samples are on the host and finite.

const npu = testedDevices.find((device) => device !== 'cpu' && computes(device, 'bfloat16'));

describe.runIf(npu !== undefined)('TimestepEmbedding in bfloat16', () => {
  async function run(device: string, samples: number[], on: string): Promise<number[]> {
    const layer = new TimestepEmbedding({
      inChannels: 20,
      timeEmbedDim: 24,
      outDim: 8,
      device,
      dtype: 'bfloat16',
    });
    layer.loadStateDict(randomWeights(reference.mlpParameters('', 20, 24, 8), 'bfloat16'));
    const sample = tensorOf('bfloat16', [samples.length / 20, 20], samples);
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
    ['finite samples on the NPU', finite, 'npu:0', 5],
    ['a sample with an infinite value', infinite, 'cpu', 5],
  ] as const)('agrees with the cpu for %s', async (_, samples, on, kernels) => {
    const got = await run('npu:0', [...samples], on);
    expect(twin().counters().kernels).toBe(kernels);
    const wanted = await run('cpu', [...samples], 'cpu');
    // Each number is rounded twice on its way: two units at 2.
    got.forEach((value, i) => {
      if (Number.isFinite(wanted[i])) expect(Math.abs(value - wanted[i]!)).toBeLessThan(2 ** -5);
      else expect(value).toBe(wanted[i]);
    });
  });
});
