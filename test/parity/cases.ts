import type { DType } from '../../lib/index.js';
import { familyCases } from './cases-family.js';
import { functionCases } from './cases-functions.js';
import { patchEmbedCases } from './cases-patch-embed.js';
import { latteCases } from './latte-cases.js';
import { everyDtype, floats, type Row } from './rows.js';
import type { Case, InputCase } from './run.js';

// The table of what every device must compute: these layers, and those of cases-*.ts. A row's note names
// what is particular about it. Shapes are as small as that allows, and odd on purpose.

/** An input of timesteps or sizes with these values. */
function numbers(
  values: number[],
  dtype: DType = 'float32',
  shape: number[] = [values.length],
): InputCase {
  return { shape, dtype, values };
}

const mlp = { inChannels: 24, timeEmbedDim: 40 };

const timestepEmbedding = everyDtype('TimestepEmbedding', [
  { note: 'one row', options: mlp, inputs: { sample: [1, 24] } },
  {
    note: 'odd widths',
    options: { inChannels: 7, timeEmbedDim: 5, outDim: 3 },
    inputs: { sample: [3, 7] },
  },
  { note: 'width 1', options: { inChannels: 1, timeEmbedDim: 1 }, inputs: { sample: [2, 1] } },
  { note: 'no rows', options: mlp, inputs: { sample: [0, 24] } },
  {
    note: 'many rows',
    options: { inChannels: 33, timeEmbedDim: 47, outDim: 19 },
    inputs: { sample: [67, 33] },
  },
  { note: 'big K', options: { inChannels: 2051, timeEmbedDim: 9 }, inputs: { sample: [5, 2051] } },
  { note: 'Latte width', ...latteCases['timestep-2'] },
  ...['silu', 'swish', 'gelu', 'relu', 'mish', 'SiLU', 'GELU'].map((actFn) => ({
    note: actFn,
    options: { ...mlp, actFn },
    inputs: { sample: { shape: [3, 24], limit: 4 } },
  })),
  ...['silu', 'gelu', 'relu', 'mish'].map((postActFn) => ({
    note: `${postActFn} after`,
    options: { ...mlp, postActFn },
    inputs: { sample: { shape: [2, 24], limit: 4 } },
  })),
  { note: 'without bias', options: { ...mlp, sampleProjBias: false }, inputs: { sample: [2, 24] } },
  {
    note: 'a condition',
    options: { ...mlp, condProjDim: 11 },
    inputs: { sample: [3, 24], condition: [3, 11] },
  },
  {
    note: 'a condition left out',
    options: { ...mlp, condProjDim: 11 },
    inputs: { sample: [3, 24] },
  },
  { note: 'float32 given', options: mlp, inputs: { sample: { shape: [2, 24], dtype: 'float32' } } },
]);

const sized = { embeddingDim: 36, sizeEmbDim: 12, useAdditionalConditions: true };
const resolution = numbers([512, 512, 256, 1024], 'float32', [2, 2]);
const aspectRatio = numbers([1, 0.25], 'float32', [2, 1]);

/** Rows that Combined and AdaLayerNormSingle share. The latter fixes sizeEmbDim to a third of the width. */
function conditions(third: Record<string, unknown>, plain: Record<string, unknown>): Row[] {
  return [
    { note: 'timesteps alone', options: plain, inputs: { timestep: numbers([999, 0, 1, 500]) } },
    { note: 'integer timesteps', options: plain, inputs: { timestep: numbers([999, 3], 'int64') } },
    { note: 'int32 timesteps', options: plain, inputs: { timestep: numbers([17, 3], 'int32') } },
    { note: 'no timesteps', options: plain, inputs: { timestep: numbers([]) } },
    {
      note: 'conditions',
      options: third,
      inputs: { timestep: numbers([999, 20]), resolution, aspectRatio },
    },
    {
      note: 'one timestep for all',
      options: third,
      inputs: { timestep: numbers([731]), resolution, aspectRatio },
    },
    {
      note: 'conditions tiled',
      options: { ...third, batchSize: 4 },
      inputs: { timestep: numbers([1, 2, 3, 4]), resolution, aspectRatio },
    },
    {
      note: 'one timestep, conditions tiled',
      options: { ...third, batchSize: 6 },
      inputs: { timestep: numbers([7]), resolution, aspectRatio },
    },
    {
      note: 'one row of sizes for all timesteps, batch 1',
      options: { ...third, batchSize: 1 },
      inputs: {
        timestep: numbers([7, 300, 999]),
        resolution: numbers([640, 360], 'float32', [1, 2]),
        aspectRatio: numbers([1.5], 'float32', [1, 1]),
      },
    },
    {
      note: 'one timestep, four rows of sizes',
      options: third,
      inputs: {
        timestep: numbers([7]),
        resolution: numbers([512, 512, 256, 1024, 64, 96, 8, 8], 'float32', [4, 2]),
        aspectRatio: numbers([1, 0.25, 1.5, 1], 'float32', [4, 1]),
      },
    },
    ...[2, 1].map((batchSize) => ({
      note: `three timesteps, batchSize ${batchSize} without sizes`,
      options: { ...plain, batchSize },
      inputs: { timestep: numbers([7, 300, 999]) },
    })),
    {
      note: 'one timestep, batchSize 3 without sizes',
      options: { ...plain, batchSize: 3 },
      inputs: { timestep: numbers([7]) },
    },
    {
      note: 'one row tiled, the other whole',
      options: third,
      inputs: {
        timestep: numbers([7, 8]),
        resolution: numbers([640, 360], 'float32', [1, 2]),
        aspectRatio,
      },
    },
    {
      note: 'integer sizes',
      options: third,
      inputs: {
        timestep: numbers([7, 8]),
        resolution: { ...resolution, dtype: 'int64' },
        aspectRatio,
      },
    },
    {
      note: 'rank-1 aspect ratio',
      options: third,
      inputs: { timestep: numbers([7, 8]), resolution, aspectRatio: numbers([0.5, 2]) },
    },
    ...floats.map((hiddenDtype) => ({
      note: `hidden ${hiddenDtype}`,
      options: { ...third, hiddenDtype },
      inputs: { timestep: numbers([12, 80]), resolution, aspectRatio },
    })),
  ];
}

const combined = everyDtype('CombinedTimestepSizeEmbeddings', [
  ...conditions(sized, { embeddingDim: 36, sizeEmbDim: 12 }),
  {
    note: 'odd width',
    options: { embeddingDim: 35, sizeEmbDim: 7 },
    inputs: { timestep: numbers([3, 4]) },
  },
  {
    note: 'both sizes rank 1',
    options: { ...sized, embeddingDim: 26, sizeEmbDim: 13 },
    inputs: {
      timestep: numbers([3, 4]),
      resolution: numbers([256, 512]),
      aspectRatio: numbers([1, 2]),
    },
  },
  {
    note: 'three numbers a size',
    options: { ...sized, embeddingDim: 40, sizeEmbDim: 8 },
    inputs: {
      timestep: numbers([3, 4]),
      resolution: numbers([256, 512, 1, 64, 8, 2], 'float32', [2, 3]),
      aspectRatio: numbers([1, 2, 0.5, 3], 'float32', [2, 2]),
    },
  },
]);

const adaLayerNormSingle = everyDtype('AdaLayerNormSingle', [
  ...conditions({ embeddingDim: 36, useAdditionalConditions: true }, { embeddingDim: 36 }),
  {
    note: 'D not a multiple of 3',
    options: { embeddingDim: 20 },
    inputs: { timestep: numbers([3]) },
  },
  ...[1, 2, 9].map((numModParams) => ({
    note: `${numModParams} parameters`,
    options: { embeddingDim: 12, numModParams },
    inputs: { timestep: numbers([3, 9]) },
  })),
  {
    note: 'odd D',
    options: { embeddingDim: 21, useAdditionalConditions: true },
    inputs: { timestep: numbers([3, 9]), resolution, aspectRatio },
  },
]);

const captionProjection = everyDtype('CaptionProjection', [
  { note: 'small', options: { inFeatures: 32, hiddenSize: 64 }, inputs: { caption: [2, 5, 32] } },
  {
    note: 'one token',
    options: { inFeatures: 32, hiddenSize: 64 },
    inputs: { caption: [1, 1, 32] },
  },
  { note: 'rank 1', options: { inFeatures: 16, hiddenSize: 24 }, inputs: { caption: [16] } },
  { note: 'rank 2', options: { inFeatures: 16, hiddenSize: 24 }, inputs: { caption: [4, 16] } },
  {
    note: 'rank 5',
    options: { inFeatures: 16, hiddenSize: 24 },
    inputs: { caption: [2, 1, 3, 2, 16] },
  },
  {
    note: 'no captions',
    options: { inFeatures: 16, hiddenSize: 24 },
    inputs: { caption: [0, 7, 16] },
  },
  {
    note: 'no tokens',
    options: { inFeatures: 16, hiddenSize: 24 },
    inputs: { caption: [2, 0, 16] },
  },
  { note: 'width 1', options: { inFeatures: 1, hiddenSize: 1 }, inputs: { caption: [1, 3, 1] } },
  {
    note: 'odd widths',
    options: { inFeatures: 13, hiddenSize: 7 },
    inputs: { caption: [3, 5, 13] },
  },
  {
    note: 'tails of every block',
    options: { inFeatures: 67, hiddenSize: 131 },
    inputs: { caption: [1, 77, 67] },
  },
  {
    note: 'Latte text width',
    options: { inFeatures: 4096, hiddenSize: 20 },
    inputs: { caption: [1, 13, 4096] },
  },
  {
    note: 'large values saturate',
    options: { inFeatures: 16, hiddenSize: 24 },
    inputs: { caption: { shape: [3, 16], limit: 40 } },
  },
  {
    note: 'float32 given',
    options: { inFeatures: 16, hiddenSize: 24 },
    inputs: { caption: { shape: [3, 16], dtype: 'float32' } },
  },
  {
    note: 'force_drop_ids and num_tokens change nothing',
    options: { inFeatures: 16, hiddenSize: 24, numTokens: 7 },
    inputs: { caption: [2, 3, 16], forceDropIds: numbers([1, 0], 'int64') },
  },
]);

/** Every case, for every device. */
export const cases: readonly Case[] = [
  ...functionCases,
  ...timestepEmbedding,
  ...patchEmbedCases,
  ...combined,
  ...captionProjection,
  ...adaLayerNormSingle,
  ...familyCases,
];
