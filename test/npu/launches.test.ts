import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { deviceDiagnostics, Tensor, type FloatDType } from '../../lib/index.js';
import { repeatRows } from '../../lib/tensor/operations.js';
import { halfBits } from '../support/tensors.js';
import { twin, type Counters } from '../support/twin.js';
import { kinds, launchesAllocate, makeForward, toHost, type Forward } from './layers.js';

// Counts on the twin what a repeated forward makes the NPU do, because starting work takes most of the time
// of a small forward. A launch is one aclnn operation or one kernel of the plugin. The kernels that an
// operation starts are counted by the rules of docs/ascend-operations.md.

/**
 * Launches of each layer, if nothing is replayed. Each launch is one kernel; kernelsBeside() counts the
 * others. `aclnn` is without the plugin; the host then computes the sinusoids of timesteps that it knows.
 * `casts` are further kernels in bfloat16: the product of a 910B takes its bias as float32, so CANN
 * converts it each time. TimestepEmbedding has none, because its biases are in the weights. A forward whose
 * `replayed` launches were captured replays them by one launch with the same kernels.
 */
const launches: Record<
  string,
  { plugin: number; aclnn: number; casts: number; replayed?: 'all' | 'all but 2' }
> = {
  PatchEmbed: { plugin: 3, aclnn: 3, casts: 1 },
  'PatchEmbed, layer norm': { plugin: 4, aclnn: 4, casts: 1 },
  Timesteps: { plugin: 1, aclnn: 0, casts: 0 },
  TimestepEmbedding: { plugin: 3, aclnn: 3, casts: 0, replayed: 'all' },
  'CombinedTimestepSizeEmbeddings without sizes': {
    ...{ plugin: 4, aclnn: 3, casts: 0, replayed: 'all' },
  },
  CombinedTimestepSizeEmbeddings: { plugin: 4, aclnn: 3, casts: 0, replayed: 'all' },
  // SiLU and the modulation follow the embedding, and only the embedding is replayed.
  AdaLayerNormSingle: { plugin: 6, aclnn: 5, casts: 1, replayed: 'all but 2' },
  CaptionProjection: { plugin: 3, aclnn: 3, casts: 2 },
};

/** The kernels of a forward that operations start beside their own. */
function kernelsBeside(name: string, dtype: FloatDType): number {
  if (fused && name === 'PatchEmbed') return 0;
  const casts = dtype === 'bfloat16' ? launches[name]!.casts : 0;
  // With the plugin the position table stays float32; adding it to a half type takes an Add and a Cast.
  const mixed = npu.kernelsPlugin && dtype !== 'float32' && name.startsWith('PatchEmbed') ? 1 : 0;
  return casts + mixed;
}

const { npu } = deviceDiagnostics();
const dtypes: FloatDType[] =
  npu.soc === 'Ascend910A' ? ['float16'] : ['float32', 'float16', 'bfloat16'];
// The first 910 replays nothing, nor does an NPU whose launches allocate (docs/ascend.md).
const replays =
  npu.soc !== 'Ascend910A' &&
  process.env.LATTE_ASCEND_CAPTURE !== '0' &&
  !(npu.kernelsPlugin && process.env.LATTE_ASCEND_KERNEL_BINARY === 'off');
const fused = npu.kernelsPlugin === true && process.env.LATTE_ASCEND_FUSED_PATCH !== '0';

/** The number of launches, and of their own kernels, if nothing is replayed. */
function expectedKernels(name: string): number {
  if (fused && name === 'PatchEmbed') return 1;
  const { plugin, aclnn } = launches[name]!;
  if (npu.kernelsPlugin) return plugin;
  return aclnn;
}

/** The number of launches, where a replay counts as one. */
function expectedLaunches(name: string): number {
  const { replayed } = launches[name]!;
  if (replayed === undefined || !replays) return expectedKernels(name);
  return replayed === 'all' ? 1 : 3;
}

describe('repeated rows', () => {
  it('are one launch and one kernel, however many there are', async () => {
    const rows = await new Tensor(
      'float16',
      new Uint16Array(30).map((_, i) => i),
      [6, 5],
    ).to('npu:0');
    twin().reset();
    const repeated = await repeatRows(rows, 7);
    const { launches: launched, kernels } = twin().counters();
    expect([launched, kernels]).toEqual([1, 1]);
    const host = await repeated.to('cpu');
    const expected = Array.from({ length: 42 }, (_, row) =>
      Array.from({ length: 5 }, (_, i) => Math.floor(row / 7) * 5 + i),
    ).flat();
    expect([...halfBits(host)]).toEqual(expected);
    for (const tensor of [rows, repeated, host]) tensor.dispose();
  });
});

describe('in the steady state', () => {
  it('every layer of the library is counted', () => {
    expect(Object.keys(kinds)).toEqual(Object.keys(launches));
  });

  describe.each(
    dtypes.flatMap((dtype) => Object.keys(launches).map((name) => [name, dtype] as const)),
  )('%s in %s', (name, dtype) => {
    let forward: Forward;
    let counted: Counters;
    const repetitions = 5;
    beforeAll(async () => {
      forward = makeForward(name, dtype);
      for (let i = 0; i < 3; i++) await toHost(await forward.forward());
      twin().reset();
      for (let i = 0; i < repetitions; i++) await toHost(await forward.forward());
      counted = twin().counters();
    });
    afterAll(() => forward.dispose());

    it('launches no more than it must', () => {
      expect(counted.launches / repetitions, JSON.stringify(counted.launchesByName)).toBe(
        expectedLaunches(name),
      );
    });

    it('starts no other kernel', () => {
      const kernels = expectedKernels(name) + kernelsBeside(name, dtype);
      expect(counted.kernels, JSON.stringify(counted.kernelsByName)).toBe(kernels * repetitions);
    });

    it('replays the forwards that should be replayed', () => {
      const { aclmdlRIExecuteAsync = 0 } = counted.launchesByName;
      const { replayed } = launches[name]!;
      expect(aclmdlRIExecuteAsync).toBe(replayed !== undefined && replays ? repetitions : 0);
    });

    it('leaves nothing to the AI CPU', () => {
      const names = Object.keys(counted.kernelsByName);
      expect(names.filter((kernel) => kernel.includes('AI CPU'))).toEqual([]);
    });

    it('allocates nothing', () => {
      const own = Object.entries(counted.launchesByName).filter(([k]) => k.startsWith('latte_'));
      const generated = launchesAllocate() ? own.reduce((sum, [, times]) => sum + times, 0) : 0;
      expect([counted.deviceAllocations, counted.hostAllocations]).toEqual([generated, 0]);
    });

    it('makes no executor that may be kept', () => {
      // The executors of aclnnInplaceCopy and aclnnMuls are made each time: docs/ascend-operations.md.
      const { aclnnInplaceCopy = 0, aclnnMuls = 0 } = counted.launchesByName;
      expect(counted.executorsMade).toBe(aclnnInplaceCopy + aclnnMuls);
    });

    it('breaks no rule', () => {
      expect(twin().violations()).toEqual([]);
    });
  });
});
