import { describe, expect, it } from 'vitest';
import * as latte from '../../lib/index.js';
import { defaultDevice } from '../support/devices.js';
import { refused } from '../support/errors.js';

const any = (value: unknown): never => value as never;

/** Each layer with options that are right: one of them is spoilt at a time. */
const layers: Record<
  string,
  {
    make: (options: object) => { device: string; dtype: string; dispose(): void };
    options: Record<string, unknown>;
  }
> = {
  PatchEmbed: {
    make: (options) => new latte.PatchEmbed(options),
    options: { height: 8, width: 8, patchSize: 2, inChannels: 4, embedDim: 16 },
  },
  Timesteps: {
    make: (options) => new latte.Timesteps(any(options)),
    options: { numChannels: 8, flipSinToCos: true, downscaleFreqShift: 0 },
  },
  TimestepEmbedding: {
    make: (options) => new latte.TimestepEmbedding(any(options)),
    options: { inChannels: 8, timeEmbedDim: 4 },
  },
  CombinedTimestepSizeEmbeddings: {
    make: (options) => new latte.CombinedTimestepSizeEmbeddings(any(options)),
    options: { embeddingDim: 24, sizeEmbDim: 8 },
  },
  CaptionProjection: {
    make: (options) => new latte.CaptionProjection(any(options)),
    options: { inFeatures: 8, hiddenSize: 4 },
  },
  AdaLayerNormSingle: {
    make: (options) => new latte.AdaLayerNormSingle(any(options)),
    options: { embeddingDim: 24 },
  },
};

const notPositiveWhole = [
  0,
  -1,
  1.5,
  NaN,
  Infinity,
  -Infinity,
  '8',
  null,
  true,
  8n,
  [8],
  {},
  2 ** 53,
];
const notBoolean = [0, 1, 'true', null, {}, 1n];
const notFinite = [NaN, Infinity, -Infinity, '1', null, 1n, {}];

/** Layer, option, values that it refuses. */
const spoilt: [string, string, readonly unknown[]][] = [
  ...['height', 'width', 'patchSize', 'inChannels', 'embedDim'].map(
    (option): [string, string, readonly unknown[]] => ['PatchEmbed', option, notPositiveWhole],
  ),
  ['PatchEmbed', 'layerNorm', notBoolean],
  ['PatchEmbed', 'flatten', notBoolean],
  ['PatchEmbed', 'bias', notBoolean],
  ['PatchEmbed', 'interpolationScale', notFinite],
  ['Timesteps', 'numChannels', notPositiveWhole],
  ['Timesteps', 'flipSinToCos', notBoolean],
  ['Timesteps', 'downscaleFreqShift', notFinite],
  ['Timesteps', 'scale', notFinite],
  ...['inChannels', 'timeEmbedDim', 'outDim', 'condProjDim'].map(
    (option): [string, string, readonly unknown[]] => [
      'TimestepEmbedding',
      option,
      notPositiveWhole.filter((value) => value !== null),
    ],
  ),
  ['TimestepEmbedding', 'sampleProjBias', notBoolean],
  ['TimestepEmbedding', 'actFn', [5, {}, ['silu']]],
  ['CombinedTimestepSizeEmbeddings', 'embeddingDim', notPositiveWhole],
  ['CombinedTimestepSizeEmbeddings', 'sizeEmbDim', notPositiveWhole],
  ['CombinedTimestepSizeEmbeddings', 'useAdditionalConditions', notBoolean],
  ['CaptionProjection', 'inFeatures', notPositiveWhole],
  ['CaptionProjection', 'hiddenSize', notPositiveWhole],
  ['CaptionProjection', 'numTokens', notPositiveWhole.filter((value) => value !== 0)],
  ['AdaLayerNormSingle', 'embeddingDim', notPositiveWhole],
  ['AdaLayerNormSingle', 'useAdditionalConditions', notBoolean],
];

describe('an option of another type or out of range names itself', () => {
  it.each(spoilt)('%s: %s', (name, option, values) => {
    const { make, options } = layers[name]!;
    for (const value of values) {
      const plain = ['number', 'boolean', 'string'].includes(typeof value) || value === null;
      const shown = plain ? [typeof value === 'string' ? `"${value}"` : String(value)] : [];
      refused(() => make({ ...options, [option]: value }), 'ERR_VALUE', option, ...shown);
    }
  });
});

describe.each(Object.entries(layers))('%s', (name, { make, options }) => {
  it('takes an option that is undefined for its default', () => {
    const layer = make({ device: undefined, dtype: undefined, ...options });
    expect([layer.device, layer.dtype]).toEqual([defaultDevice, 'float32']);
    layer.dispose();
  });

  it('refuses a dtype that layers do not compute in', () => {
    if (name === 'Timesteps') return;
    for (const dtype of ['float64', 'int32', 'int64', 'half', '', null, 4]) {
      refused(
        () => make({ ...options, dtype }),
        'ERR_DTYPE',
        'dtype',
        typeof dtype === 'string' ? `"${dtype}"` : String(dtype),
      );
    }
  });

  it('refuses a device that there is not', () => {
    for (const device of ['gpu', 'CPU', 'npu:x', 'cpu:0', '', null, 0]) {
      refused(() => make({ ...options, device }), 'ERR_VALUE', 'device');
    }
    refused(
      () => make({ ...options, device: 'npu:8' }),
      'ERR_DEVICE_UNAVAILABLE',
      'npu:8',
      /not available/,
    );
  });

  it('refuses options that are no object', () => {
    for (const value of [null, 5, 'options', true])
      refused(() => make(any(value)), 'ERR_VALUE', 'options');
  });

  it('refuses sizes whose weights no machine could hold, before allocating', () => {
    if (name === 'Timesteps') return;
    const sizes = Object.keys(options).filter(
      (option) => option !== 'height' && option !== 'width',
    );
    const huge = Object.fromEntries(sizes.map((option) => [option, 2 ** 40]));
    expect(() => make({ ...options, ...huge })).toThrowError(
      expect.objectContaining({
        code: expect.stringMatching(/^ERR_(VALUE|SHAPE|OUT_OF_MEMORY)$/) as string,
      }) as Error,
    );
  });

  it('must be called with new', () => {
    const constructor = (latte as unknown as Record<string, () => void>)[name]!;
    expect(() => constructor()).toThrow(TypeError);
  });
});

describe('options that exclude each other', () => {
  it.each([5, 7, 1])('an odd embedDim %i', (embedDim) => {
    refused(
      () => new latte.PatchEmbed({ ...layers.PatchEmbed!.options, embedDim }),
      'ERR_VALUE',
      'embed_dim must be divisible by 2',
      String(embedDim),
    );
  });

  it('an embedDim whose half is odd', () => {
    refused(
      () => new latte.PatchEmbed({ ...layers.PatchEmbed!.options, embedDim: 6 }),
      'ERR_VALUE',
      'embed_dim must be divisible by 2',
    );
  });

  it('a height below the patch size (but not a width)', () => {
    refused(
      () => new latte.PatchEmbed({ ...layers.PatchEmbed!.options, height: 1 }),
      'ERR_VALUE',
      'height',
      '1',
      'patchSize',
    );
    new latte.PatchEmbed({ ...layers.PatchEmbed!.options, width: 1 }).dispose();
  });

  it.each(['tanh', '', 'toString', '__proto__', 'SILU2'])('activation %j', (actFn) => {
    for (const option of ['actFn', 'postActFn']) {
      refused(
        () => new latte.TimestepEmbedding({ inChannels: 8, timeEmbedDim: 4, [option]: actFn }),
        'ERR_VALUE',
        `Unsupported activation function: ${actFn.toLowerCase()}`,
      );
    }
  });

  it('an option that is missing', () => {
    refused(
      () => new latte.TimestepEmbedding(any({ inChannels: 8 })),
      'ERR_VALUE',
      'timeEmbedDim',
      'undefined',
    );
    refused(
      () => new latte.CaptionProjection(any({ hiddenSize: 8 })),
      'ERR_VALUE',
      'inFeatures',
      'undefined',
    );
    refused(
      () => new latte.Timesteps(any({ flipSinToCos: true, downscaleFreqShift: 0 })),
      'ERR_VALUE',
      'numChannels',
    );
    refused(() => new latte.AdaLayerNormSingle(any({})), 'ERR_VALUE', 'embeddingDim');
    refused(
      () => new latte.CombinedTimestepSizeEmbeddings(any({ embeddingDim: 24 })),
      'ERR_VALUE',
      'sizeEmbDim',
    );
  });
});
