import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { deviceDiagnostics, type FloatDType } from '../../lib/index.js';
import { twin, type Counters } from '../support/twin.js';
import { kinds, makeForward, toHost, type Forward } from './layers.js';

// What a forward asks of the NPU when it runs again, counted by the twin: launching is what small
// work on an NPU costs most. A launch is one aclnn operation or one kernel of the plugin; how many
// kernels an aclnn operation launches by itself is CANN's affair.

/** With the plugin: the most that there may be. Without it: what docs/ascend.md records. */
const launches: Record<string, { plugin: number; aclnn: number }> = {
  PatchEmbed: { plugin: 3, aclnn: 3 },
  'PatchEmbed, layer norm': { plugin: 4, aclnn: 4 },
  Timesteps: { plugin: 1, aclnn: 3 },
  TimestepEmbedding: { plugin: 3, aclnn: 3 },
  'CombinedTimestepSizeEmbeddings without sizes': { plugin: 4, aclnn: 6 },
  CombinedTimestepSizeEmbeddings: { plugin: 12, aclnn: 14 },
  AdaLayerNormSingle: { plugin: 14, aclnn: 16 },
  CaptionProjection: { plugin: 3, aclnn: 3 },
};

/** Sinusoids in a half type are rounded by an operation of their own without the plugin. */
const aclnnInHalf: Record<string, number> = {
  'CombinedTimestepSizeEmbeddings without sizes': 7,
  CombinedTimestepSizeEmbeddings: 15,
  AdaLayerNormSingle: 17,
};

const { npu } = deviceDiagnostics();
const dtypes: FloatDType[] =
  npu.soc === 'Ascend910A' ? ['float16'] : ['float32', 'float16', 'bfloat16'];
const fused = npu.kernelsPlugin === true && process.env.LATTE_ASCEND_FUSED_PATCH !== '0';

function expectedLaunches(name: string, dtype: FloatDType): number {
  if (fused && name === 'PatchEmbed') return 1;
  const { plugin, aclnn } = launches[name]!;
  if (npu.kernelsPlugin) return plugin;
  return (dtype === 'float32' ? undefined : aclnnInHalf[name]) ?? aclnn;
}

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
        expectedLaunches(name, dtype),
      );
    });

    it('allocates nothing', () => {
      expect([counted.deviceAllocations, counted.hostAllocations]).toEqual([0, 0]);
    });

    it('makes no executor that may be kept', () => {
      // aclnnInplaceCopy's and aclnnMuls' are made anew: docs/ascend-operations.md.
      const { aclnnInplaceCopy = 0, aclnnMuls = 0 } = counted.launchesByName;
      expect(counted.executorsMade).toBe(aclnnInplaceCopy + aclnnMuls);
    });

    it('breaks no rule', () => {
      expect(twin().violations()).toEqual([]);
    });
  });
});
