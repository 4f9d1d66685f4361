import { describe, expect, it } from 'vitest';
import * as latte from '../../lib/index.js';
import { defaultDevice } from '../support/devices.js';
import { refused } from '../support/errors.js';

const any = (value: unknown): never => value as never;

interface Subject {
  make: (options: object) => { device: string; dtype: string; dispose(): void };
  options: Record<string, unknown>;
}

/** Valid options of each layer; the tests replace one of them at a time. */
const layers: Record<string, Subject> = {
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
  PatchEmbed3d: {
    make: (options) => new latte.PatchEmbed3d(any(options)),
    options: { patchSize: [1, 2, 2], inChannels: 4, embedDim: 16 },
  },
  Linear: {
    make: (options) => new latte.Linear(any(options)),
    options: { inFeatures: 8, outFeatures: 4 },
  },
  PixArtAlphaTextProjection: {
    make: (options) => new latte.PixArtAlphaTextProjection(any(options)),
    options: { inFeatures: 8, hiddenSize: 4 },
  },
  CombinedTimestepTextProjEmbeddings: {
    make: (options) => new latte.CombinedTimestepTextProjEmbeddings(any(options)),
    options: { embeddingDim: 24, pooledProjectionDim: 8 },
  },
  CombinedTimestepGuidanceTextProjEmbeddings: {
    make: (options) => new latte.CombinedTimestepGuidanceTextProjEmbeddings(any(options)),
    options: { embeddingDim: 24, pooledProjectionDim: 8 },
  },
  SanaCombinedTimestepGuidanceEmbeddings: {
    make: (options) => new latte.SanaCombinedTimestepGuidanceEmbeddings(any(options)),
    options: { embeddingDim: 24 },
  },
  QwenTimestepProjEmbeddings: {
    make: (options) => new latte.QwenTimestepProjEmbeddings(any(options)),
    options: { embeddingDim: 24 },
  },
  WanTimeTextImageEmbedding: {
    make: (options) => new latte.WanTimeTextImageEmbedding(any(options)),
    options: { dim: 24, timeFreqDim: 8, timeProjDim: 48, textEmbedDim: 8 },
  },
  CogVideoXPatchEmbed: {
    make: (options) => new latte.CogVideoXPatchEmbed(any(options)),
    options: { inChannels: 4, embedDim: 16, textEmbedDim: 8 },
  },
} satisfies Record<latte.LayerKind | 'CombinedTimestepSizeEmbeddings' | 'Timesteps', Subject>;

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

const notNullNorWhole = notPositiveWhole.filter((value) => value !== null);
const notAboveZero = [...notFinite, 0, -1];
type Spoilt = [layer: string, option: string, values: readonly unknown[]];

/** Options of a layer that refuse the same values. */
function each(layer: string, options: readonly string[], values: readonly unknown[]): Spoilt[] {
  return options.map((option) => [layer, option, values]);
}

/** The layer, the option, and the values that it refuses. */
const spoilt: Spoilt[] = [
  ...each(
    'PatchEmbed',
    ['height', 'width', 'patchSize', 'inChannels', 'embedDim'],
    notPositiveWhole,
  ),
  ['PatchEmbed', 'posEmbedType', ['cos', '', 0, {}]],
  ['PatchEmbed', 'posEmbedMaxSize', notNullNorWhole],
  ['PatchEmbed', 'layerNorm', notBoolean],
  ['PatchEmbed', 'flatten', notBoolean],
  ['PatchEmbed', 'bias', notBoolean],
  ['PatchEmbed', 'interpolationScale', notFinite],
  ['Timesteps', 'numChannels', notPositiveWhole],
  ['Timesteps', 'flipSinToCos', notBoolean],
  ['Timesteps', 'downscaleFreqShift', notFinite],
  ['Timesteps', 'scale', notFinite],
  ...each(
    'TimestepEmbedding',
    ['inChannels', 'timeEmbedDim', 'outDim', 'condProjDim'],
    notNullNorWhole,
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
  ['AdaLayerNormSingle', 'numModParams', notPositiveWhole],
  ['PatchEmbed3d', 'patchSize', [null, 2, '122', {}, [], [1, 2], [1, 2, 2, 2]]],
  ['PatchEmbed3d', 'patchSize', notPositiveWhole.map((side) => [1, side, 2])],
  ...each('PatchEmbed3d', ['inChannels', 'embedDim'], notPositiveWhole),
  ['PatchEmbed3d', 'bias', notBoolean],
  ...each('Linear', ['inFeatures', 'outFeatures'], notPositiveWhole),
  ['Linear', 'bias', notBoolean],
  ...each('PixArtAlphaTextProjection', ['inFeatures', 'hiddenSize'], notPositiveWhole),
  ['PixArtAlphaTextProjection', 'outFeatures', notNullNorWhole],
  ['PixArtAlphaTextProjection', 'actFn', ['SILU', 'gelu', '', 5, {}]],
  ...['CombinedTimestepTextProjEmbeddings', 'CombinedTimestepGuidanceTextProjEmbeddings'].flatMap(
    (layer) => each(layer, ['embeddingDim', 'pooledProjectionDim'], notPositiveWhole),
  ),
  ['SanaCombinedTimestepGuidanceEmbeddings', 'embeddingDim', notPositiveWhole],
  ['QwenTimestepProjEmbeddings', 'embeddingDim', notPositiveWhole],
  ['QwenTimestepProjEmbeddings', 'useAdditionalTCond', notBoolean],
  ...each(
    'WanTimeTextImageEmbedding',
    ['dim', 'timeFreqDim', 'timeProjDim', 'textEmbedDim'],
    notPositiveWhole,
  ),
  ...each('WanTimeTextImageEmbedding', ['imageEmbedDim', 'posEmbedSeqLen'], notNullNorWhole),
  ...each(
    'CogVideoXPatchEmbed',
    [
      'patchSize',
      'inChannels',
      'embedDim',
      'textEmbedDim',
      'sampleWidth',
      'sampleHeight',
      'sampleFrames',
      'temporalCompressionRatio',
      'maxTextSeqLength',
    ],
    notPositiveWhole,
  ),
  ['CogVideoXPatchEmbed', 'patchSizeT', notNullNorWhole],
  ...each(
    'CogVideoXPatchEmbed',
    ['spatialInterpolationScale', 'temporalInterpolationScale'],
    notAboveZero,
  ),
  ...each(
    'CogVideoXPatchEmbed',
    ['bias', 'usePositionalEmbeddings', 'useLearnedPositionalEmbeddings'],
    notBoolean,
  ),
];

describe('an option that is unknown or missing', () => {
  it.each(Object.entries(layers))('%s', (_, { make, options }) => {
    refused(() => make({ ...options, embed_dim: 4 }), 'ERR_VALUE', 'embed_dim');
    for (const option of Object.keys(options)) {
      const { [option]: __, ...rest } = options;
      try {
        make(rest).dispose(); // It has a default.
      } catch (error) {
        expect(error).toMatchObject({ code: 'ERR_VALUE' });
        expect((error as Error).message).toContain(option);
      }
    }
  });
});

describe('an option of another type or out of range names itself', () => {
  it.each(spoilt)('%s: %s', (name, option, values) => {
    const { make, options } = layers[name]!;
    for (const value of values) {
      const plain = ['number', 'boolean', 'string'].includes(typeof value) || value === null;
      const isName = typeof value === 'string' && ['actFn', 'posEmbedType'].includes(option);
      const text = typeof value === 'string' && !isName ? `"${value}"` : String(value);
      const named = isName ? [] : [option];
      const shown = plain ? [text] : [];
      refused(() => make({ ...options, [option]: value }), 'ERR_VALUE', ...named, ...shown);
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
});
