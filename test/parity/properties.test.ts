import * as fc from 'fast-check';
import { describe, it } from 'vitest';
import { testedDevices } from '../support/devices.js';
import { check, type Case } from './run.js';

const dtype = fc.constantFrom('float32' as const, 'float16' as const, 'bfloat16' as const);
const way = fc.constantFrom('forward' as const, 'forwardSync' as const);
const upTo = (max: number, min = 1) => fc.integer({ min, max });

/** A name of each generated case, so that it has numbers of its own. */
const note = fc.integer({ min: 0, max: 999_999 }).map((seed) => `seed ${seed}`);

const patchEmbed: fc.Arbitrary<Case> = fc
  .record({
    dtype,
    note,
    p: upTo(4),
    channels: upTo(5),
    quarter: upTo(12),
    configured: fc.tuple(upTo(5), upTo(5)),
    tokens: fc.tuple(upTo(6), upTo(6)),
    trailing: fc.tuple(upTo(3, 0), upTo(3, 0)),
    batch: upTo(3, 0),
    layerNorm: fc.boolean(),
    bias: fc.boolean(),
    interpolationScale: fc.constantFrom(1, 2, 0.5, 1.3),
  })
  .map(({ dtype, note, p, channels, quarter, configured, tokens, trailing, batch, ...rest }) => ({
    op: 'PatchEmbed',
    dtype,
    note,
    options: {
      height: configured[0] * p,
      width: configured[1] * p,
      patchSize: p,
      inChannels: channels,
      embedDim: quarter * 4,
      ...rest,
    },
    inputs: {
      latent: {
        shape: [
          batch,
          channels,
          tokens[0] * p + (trailing[0] % p),
          tokens[1] * p + (trailing[1] % p),
        ],
      },
    },
  }));

const timestepEmbedding: fc.Arbitrary<Case> = fc
  .record({
    dtype,
    note,
    rows: upTo(20, 0),
    inChannels: upTo(40),
    timeEmbedDim: upTo(40),
    outDim: fc.option(upTo(40), { nil: undefined }),
    actFn: fc.constantFrom('silu', 'gelu', 'relu', 'mish'),
    postActFn: fc.option(fc.constantFrom('silu', 'gelu', 'relu', 'mish'), { nil: undefined }),
    condProjDim: fc.option(upTo(9), { nil: undefined }),
    sampleProjBias: fc.boolean(),
  })
  .map(({ dtype, note, rows, ...options }) => ({
    op: 'TimestepEmbedding',
    dtype,
    note,
    options,
    inputs: {
      sample: { shape: [rows, options.inChannels] },
      ...(options.condProjDim === undefined
        ? {}
        : { condition: { shape: [rows, options.condProjDim] } }),
    },
  }));

const caption: fc.Arbitrary<Case> = fc
  .record({
    dtype,
    note,
    leading: fc.array(upTo(6, 0), { maxLength: 3 }),
    inFeatures: upTo(70),
    hiddenSize: upTo(70),
  })
  .map(({ dtype, note, leading, ...options }) => ({
    op: 'CaptionProjection',
    dtype,
    note,
    options,
    inputs: { caption: { shape: [...leading, options.inFeatures] } },
  }));

/** Combined and AdaLayerNormSingle, with a number of rows of sizes that divides the batch. */
const conditioned: fc.Arbitrary<Case> = fc
  .record({
    op: fc.constantFrom('CombinedTimestepSizeEmbeddings' as const, 'AdaLayerNormSingle' as const),
    dtype,
    note,
    third: upTo(12),
    useAdditionalConditions: fc.boolean(),
    rows: upTo(3),
    repeats: upTo(3),
    oneTimestep: fc.boolean(),
    hiddenDtype: fc.option(dtype, { nil: undefined }),
  })
  .map(
    ({
      op,
      dtype,
      note,
      third,
      useAdditionalConditions,
      rows,
      repeats,
      oneTimestep,
      hiddenDtype,
    }) => {
      const batch = rows * repeats;
      return {
        op,
        dtype,
        note,
        options: {
          embeddingDim: third * 3,
          ...(op === 'AdaLayerNormSingle' ? {} : { sizeEmbDim: third }),
          useAdditionalConditions,
          hiddenDtype,
          ...(useAdditionalConditions ? { batchSize: batch } : {}),
        },
        inputs: {
          timestep: { shape: [oneTimestep ? 1 : batch], dtype: 'float32', limit: 1000 },
          ...(useAdditionalConditions
            ? {
                resolution: { shape: [rows, 2], dtype: 'float32', limit: 100 },
                aspectRatio: { shape: [rows, 1], dtype: 'float32', limit: 4 },
              }
            : {}),
        },
      };
    },
  );

const timesteps: fc.Arbitrary<Case> = fc
  .record({
    note,
    count: upTo(9, 0),
    numChannels: upTo(70),
    flipSinToCos: fc.boolean(),
    downscaleFreqShift: fc.constantFrom(0, 0.5, -1),
    scale: fc.constantFrom(1, 10, 0.1),
  })
  .map(({ note, count, ...options }) => ({
    op: 'Timesteps',
    dtype: 'float32',
    note,
    options,
    inputs: { timesteps: { shape: [count], limit: 1000 } },
  }));

describe.each(testedDevices)('random small shapes and options on %s', (device) => {
  it.each([
    ['PatchEmbed', patchEmbed, 150],
    ['TimestepEmbedding', timestepEmbedding, 150],
    ['CaptionProjection', caption, 150],
    ['Combined and AdaLayerNormSingle', conditioned, 60],
    ['Timesteps', timesteps, 100],
  ] as const)('%s', async (_, arbitrary, numRuns) => {
    await fc.assert(
      fc.asyncProperty(arbitrary, way, (c, how) => check(c, device, [how])),
      { numRuns },
    );
  });
});
