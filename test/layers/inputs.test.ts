import { afterAll, describe, expect, it } from 'vitest';
import { Tensor, TimestepEmbedding, type LatteError } from '../../lib/index.js';
import { refused, rejected, type Fragment } from '../support/errors.js';
import {
  random,
  smallAdaLayerNorm,
  smallCaption,
  smallCombined,
  smallPatchEmbed,
  smallTimestepEmbedding,
} from '../support/layers.js';

const any = (value: unknown): never => value as never;
const noTensors = [
  null,
  undefined,
  5,
  '5',
  {},
  [1],
  new Float32Array(4),
  Tensor,
  { dtype: 'float32', shape: [1] },
];

/** Expects the same refusal from forward, which must reject and not throw, and from forwardSync. */
async function bothRefuse(
  layer: { forward(...args: never[]): Promise<unknown>; forwardSync(...args: never[]): unknown },
  args: unknown[],
  code: LatteError['code'],
  ...texts: Fragment[]
): Promise<void> {
  refused(() => layer.forwardSync(...(args as never[])), code, ...texts);
  let promise: Promise<unknown> | undefined;
  expect(() => (promise = layer.forward(...(args as never[])))).not.toThrow();
  await rejected(() => promise!, code, ...texts);
}

describe('PatchEmbed', () => {
  const layer = smallPatchEmbed();
  afterAll(() => layer.dispose());

  it.each([
    [
      [4, 8, 8],
      ['latent', '[4, 8, 8]'],
    ],
    [[8], ['latent', '[8]']],
    [[], ['latent', '[]']],
    [
      [1, 4, 1, 8, 8],
      ['latent', '[1, 4, 1, 8, 8]'],
    ],
    [
      [1, 3, 8, 8],
      ['latent', '4', '3'],
    ],
    [
      [1, 8, 8, 4],
      ['latent', '4', '8'],
    ],
    [
      [0, 3, 8, 8],
      ['latent', '4', '3'],
    ],
  ])('a latent %j', async (shape, texts) => {
    await bothRefuse(layer, [random(shape)], 'ERR_SHAPE', ...texts);
  });

  it.each(['int32', 'int64'] as const)('a latent in %s', async (dtype) => {
    await bothRefuse(layer, [Tensor.zeros([1, 4, 8, 8], { dtype })], 'ERR_DTYPE', 'latent', dtype);
  });

  it('a latent that is no tensor', async () => {
    for (const value of noTensors) await bothRefuse(layer, [value], 'ERR_VALUE', 'latent');
  });

  it('many frames without pixels, which have no patch', async () => {
    await bothRefuse(layer, [Tensor.zeros([2 ** 40, 4, 0, 8])], 'ERR_SHAPE', 'latent', 'patch');
  });
});

describe('zero-sized and empty batches are legal where the reference allows them', () => {
  it('PatchEmbed', async () => {
    const layer = smallPatchEmbed();
    expect((await layer.forward(random([0, 4, 8, 8]))).shape).toEqual([0, 16, 16]);
    expect(layer.forwardSync(random([0, 4, 6, 10])).shape).toEqual([0, 15, 16]);
  });

  it('captions, samples and timesteps', async () => {
    expect((await smallCaption().forward(random([0, 120, 8]))).shape).toEqual([0, 120, 12]);
    expect((await smallCaption().forward(random([2, 0, 8]))).shape).toEqual([2, 0, 12]);
    expect((await smallTimestepEmbedding().forward(random([0, 8]))).shape).toEqual([0, 12]);
    expect((await smallCombined(false).forward({ timestep: [] })).shape).toEqual([0, 24]);
    const { modulation, embeddedTimestep } = await smallAdaLayerNorm().forward({
      timestep: new Float32Array(0),
    });
    expect([modulation.shape, embeddedTimestep.shape]).toEqual([
      [0, 144],
      [0, 24],
    ]);
  });
});

describe('CaptionProjection', () => {
  const layer = smallCaption();

  it.each([
    [
      [1, 2, 7],
      ['caption', '8', '7'],
    ],
    [
      [8, 1],
      ['caption', '8', '1'],
    ],
    [[], ['caption', '[]']],
    [
      [0, 7],
      ['caption', '8', '7'],
    ],
  ])('a caption %j', async (shape, texts) => {
    await bothRefuse(layer, [random(shape)], 'ERR_SHAPE', ...texts);
  });

  it('a caption that is no tensor, or holds integers', async () => {
    for (const value of noTensors) await bothRefuse(layer, [value], 'ERR_VALUE', 'caption');
    await bothRefuse(
      layer,
      [Tensor.zeros([2, 8], { dtype: 'int32' })],
      'ERR_DTYPE',
      'caption',
      'int32',
    );
  });
});

describe('TimestepEmbedding', () => {
  const layer = smallTimestepEmbedding();

  it.each([
    [[[2, 7]], ['sample', '8', '7']],
    [
      [
        [2, 8],
        [2, 4],
      ],
      ['condition', '5', '4'],
    ],
    [
      [
        [2, 8],
        [3, 5],
      ],
      ['condition', '2', '3'],
    ],
  ] as const)('shapes %j', async (shapes, texts) => {
    await bothRefuse(
      layer,
      shapes.map((shape) => random([...shape])),
      'ERR_SHAPE',
      ...texts,
    );
  });

  it('a condition without condProjDim', async () => {
    const plain = new TimestepEmbedding({ inChannels: 8, timeEmbedDim: 12 });
    await bothRefuse(
      plain,
      [random([2, 8]), random([2, 8])],
      'ERR_VALUE',
      'condition',
      'condProjDim',
    );
  });

  it('no tensors', async () => {
    for (const value of noTensors) await bothRefuse(layer, [value], 'ERR_VALUE', 'sample');
    for (const value of [5, '5', [1], new Float32Array(5)]) {
      await bothRefuse(layer, [random([2, 8]), value], 'ERR_VALUE', 'condition');
    }
  });
});

describe.each([['CombinedTimestepSizeEmbeddings', () => smallCombined()]])('%s', (_, make) => {
  const layer = make();
  const resolution = new Tensor('float32', [512, 512, 256, 256], [2, 2]);
  const aspectRatio = new Tensor('float32', [1, 1], [2, 1]);

  it.each([
    ['no object', null, 'ERR_VALUE', ['null']],
    ['no object', 5, 'ERR_VALUE', ['5']],
    ['no timestep', { resolution, aspectRatio }, 'ERR_VALUE', ['timestep', 'undefined']],
    ['a timestep alone', { timestep: 5, resolution, aspectRatio }, 'ERR_VALUE', ['timestep', '5']],
    [
      'a list of other things',
      { timestep: [1, '2'], resolution, aspectRatio },
      'ERR_VALUE',
      ['timestep', '"2"'],
    ],
    [
      'a matrix of timesteps',
      { timestep: Tensor.zeros([2, 1]), resolution, aspectRatio },
      'ERR_SHAPE',
      ['Timesteps should be a 1d-array'],
    ],
    ['no resolution', { timestep: [1, 2], aspectRatio }, 'ERR_VALUE', ['resolution']],
    ['no aspect ratio', { timestep: [1, 2], resolution }, 'ERR_VALUE', ['aspectRatio']],
    [
      'rank 3',
      { timestep: [1, 2], resolution: Tensor.zeros([2, 1, 2]), aspectRatio },
      'ERR_SHAPE',
      ['resolution', '[2, 1, 2]'],
    ],
    [
      'rank 0',
      { timestep: [1, 2], resolution: Tensor.zeros([]), aspectRatio },
      'ERR_SHAPE',
      ['resolution', '[]'],
    ],
    [
      'widths that do not add up',
      { timestep: [1, 2], resolution: aspectRatio, aspectRatio },
      'ERR_SHAPE',
      ['24', '16'],
    ],
    [
      'three rows for two',
      { timestep: [1, 2], resolution: Tensor.zeros([3, 2]), aspectRatio },
      'ERR_SHAPE',
      ['`batch_size` should be 0 but found 2.'],
    ],
    [
      'two rows for three',
      { timestep: [1, 2, 3], resolution, aspectRatio },
      'ERR_SHAPE',
      ['`batch_size` should be 2 but found 3.'],
    ],
    [
      'no rows',
      { timestep: [1, 2], resolution: Tensor.zeros([0, 2]), aspectRatio },
      /^ERR_(VALUE|SHAPE)$/,
      ['resolution'],
    ],
    [
      'more timesteps than the batch',
      { timestep: [1, 2, 3], resolution, aspectRatio, batchSize: 2 },
      'ERR_SHAPE',
      ['timestep', '3', '2'],
    ],
    [
      'batchSize 1.5',
      { timestep: [1, 2], resolution, aspectRatio, batchSize: 1.5 },
      'ERR_VALUE',
      ['batchSize', '1.5'],
    ],
    [
      'batchSize −1',
      { timestep: [1, 2], resolution, aspectRatio, batchSize: -1 },
      'ERR_VALUE',
      ['batchSize', '-1'],
    ],
    [
      'batchSize NaN',
      { timestep: [1, 2], resolution, aspectRatio, batchSize: NaN },
      'ERR_VALUE',
      ['batchSize', 'NaN'],
    ],
    [
      'batchSize "2"',
      { timestep: [1, 2], resolution, aspectRatio, batchSize: '2' },
      'ERR_VALUE',
      ['batchSize', '"2"'],
    ],
    [
      'batchSize 2^40, refused before allocating',
      { timestep: [1], resolution, aspectRatio, batchSize: 2 ** 45 },
      /^ERR_(SHAPE|VALUE|OUT_OF_MEMORY)$/,
      [],
    ],
    [
      'hiddenDtype float64',
      { timestep: [1, 2], resolution, aspectRatio, hiddenDtype: 'float64' },
      'ERR_DTYPE',
      ['hiddenDtype', '"float64"'],
    ],
    [
      'hiddenDtype null',
      { timestep: [1, 2], resolution, aspectRatio, hiddenDtype: null },
      'ERR_DTYPE',
      ['hiddenDtype', 'null'],
    ],
  ] as const)('%s', async (_, input, code, texts) => {
    if (typeof code === 'string') await bothRefuse(layer, [any(input)], code, ...texts);
    else
      await expect(layer.forward(any(input))).rejects.toMatchObject({
        name: 'LatteError',
        code: expect.stringMatching(code) as string,
      });
  });

  it('takes sizes of integers and of half types by their values', async () => {
    const wanted = await layer.forward({ timestep: [1, 2], resolution, aspectRatio });
    for (const dtype of ['int32', 'int64', 'float16', 'float64'] as const) {
      const result = await layer.forward({
        timestep: new Tensor(dtype, [1, 2]),
        resolution: new Tensor(dtype, [512, 512, 256, 256], [2, 2]),
        aspectRatio: new Tensor(dtype, [1, 1], [2, 1]),
      });
      expect(result.data).toEqual(wanted.data);
    }
  });
});
