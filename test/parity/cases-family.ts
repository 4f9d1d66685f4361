import type { DType } from '../../lib/index.js';
import { everyDtype, floats } from './rows.js';
import type { Case, InputCase } from './run.js';

// The layers of the sibling transformers. A row's note names what is particular about it.

function numbers(values: number[], dtype: DType = 'float32'): InputCase {
  return { shape: [values.length], dtype, values };
}

const linear = everyDtype('Linear', [
  {
    note: 'three axes',
    options: { inFeatures: 13, outFeatures: 20 },
    inputs: { input: [2, 5, 13] },
  },
  { note: 'one axis', options: { inFeatures: 16, outFeatures: 7 }, inputs: { input: [16] } },
  {
    note: 'without bias',
    options: { inFeatures: 9, outFeatures: 33, bias: false },
    inputs: { input: [67, 9] },
  },
  { note: 'no rows', options: { inFeatures: 8, outFeatures: 4 }, inputs: { input: [0, 8] } },
  {
    note: 'float32 given',
    options: { inFeatures: 8, outFeatures: 4 },
    inputs: { input: { shape: [3, 8], dtype: 'float32' } },
  },
]);

const text = everyDtype('PixArtAlphaTextProjection', [
  ...[undefined, 'gelu_tanh', 'silu', 'silu_fp32'].map((actFn) => ({
    note: actFn ?? 'by default',
    options: { inFeatures: 13, hiddenSize: 24, ...(actFn === undefined ? {} : { actFn }) },
    inputs: { caption: { shape: [2, 3, 13], limit: 4 } },
  })),
  {
    note: 'another width at the end',
    options: { inFeatures: 16, hiddenSize: 20, outFeatures: 7 },
    inputs: { caption: [5, 16] },
  },
]);

const combined = { embeddingDim: 20, pooledProjectionDim: 11 };
const guidance = numbers([3500, 1.5]);

const combinedText = everyDtype('CombinedTimestepTextProjEmbeddings', [
  {
    note: 'a row each',
    options: combined,
    inputs: { timestep: numbers([999, 3]), pooledProjection: [2, 11] },
  },
  {
    note: 'one timestep for all',
    options: combined,
    inputs: { timestep: numbers([731], 'int64'), pooledProjection: [3, 11] },
  },
  {
    note: 'one text for all',
    options: combined,
    inputs: { timestep: numbers([1, 500, 999]), pooledProjection: [1, 11] },
  },
  {
    note: 'no rows',
    options: combined,
    inputs: { timestep: numbers([]), pooledProjection: [0, 11] },
  },
]);

const combinedGuidance = everyDtype('CombinedTimestepGuidanceTextProjEmbeddings', [
  {
    note: 'a row each',
    options: combined,
    inputs: { timestep: numbers([999, 3]), guidance, pooledProjection: [2, 11] },
  },
  {
    note: 'one timestep and one guidance for all',
    options: combined,
    inputs: {
      timestep: numbers([999]),
      guidance: numbers([4]),
      pooledProjection: { shape: [3, 11], dtype: 'float32' },
    },
  },
  {
    note: 'one row of all',
    options: combined,
    inputs: { timestep: numbers([999]), guidance: numbers([4]), pooledProjection: [1, 11] },
  },
]);

const sana = everyDtype('SanaCombinedTimestepGuidanceEmbeddings', [
  {
    note: 'a row each',
    options: { embeddingDim: 20 },
    inputs: { timestep: numbers([999, 3]), guidance },
  },
  {
    note: 'one guidance for all',
    options: { embeddingDim: 7 },
    inputs: { timestep: numbers([999, 20, 3], 'int32'), guidance: numbers([0.45]) },
  },
  ...floats.map((hiddenDtype) => ({
    note: `hidden ${hiddenDtype}`,
    options: { embeddingDim: 12, hiddenDtype },
    inputs: { timestep: numbers([12, 80]), guidance },
  })),
]);

const qwen = everyDtype('QwenTimestepProjEmbeddings', [
  {
    note: 'fractions',
    options: { embeddingDim: 20 },
    inputs: { timestep: numbers([0.98125, 0, 0.5]) },
  },
  {
    note: 'a row of the table each',
    options: { embeddingDim: 9, useAdditionalTCond: true },
    inputs: { timestep: numbers([0.25, 0.75, 1]), additionTCond: numbers([1, 0, 1], 'int64') },
  },
  ...floats.map((hiddenDtype) => ({
    note: `hidden ${hiddenDtype}`,
    options: { embeddingDim: 12, useAdditionalTCond: true, hiddenDtype },
    inputs: { timestep: numbers([0.5, 1]), additionTCond: numbers([0, 1]) },
  })),
]);

const wan = { dim: 20, timeFreqDim: 32, timeProjDim: 41, textEmbedDim: 11 };

const wanConditions = everyDtype('WanTimeTextImageEmbedding', [
  {
    note: 'text alone',
    options: wan,
    inputs: { timestep: numbers([999, 3]), encoderHiddenStates: [2, 5, 11] },
  },
  {
    note: 'timesteps of tokens',
    options: { ...wan, timeFreqDim: 21, timestepSeqLen: 3 },
    inputs: { timestep: numbers([0, 1, 2, 500, 998, 999]), encoderHiddenStates: [2, 4, 11] },
  },
  {
    note: 'an image',
    options: { ...wan, imageEmbedDim: 24 },
    inputs: {
      timestep: numbers([999]),
      encoderHiddenStates: [1, 3, 11],
      encoderHiddenStatesImage: [2, 5, 24],
    },
  },
  {
    note: 'a pair of images with positions',
    options: { ...wan, imageEmbedDim: 9, posEmbedSeqLen: 8 },
    inputs: {
      timestep: numbers([999], 'int64'),
      encoderHiddenStates: { shape: [1, 3, 11], dtype: 'float32' },
      encoderHiddenStatesImage: { shape: [4, 4, 9], dtype: 'float32' },
    },
  },
]);

const patches = everyDtype('PatchEmbed3d', [
  {
    note: '1×2×2',
    options: { patchSize: [1, 2, 2], inChannels: 4, embedDim: 36 },
    inputs: { latent: [2, 4, 3, 6, 8] },
  },
  {
    note: '2×2×2, the rest dropped',
    options: { patchSize: [2, 2, 2], inChannels: 3, embedDim: 20 },
    inputs: { latent: [2, 3, 5, 7, 9] },
  },
  {
    note: '2×1×3 without bias',
    options: { patchSize: [2, 1, 3], inChannels: 2, embedDim: 7, bias: false },
    inputs: { latent: [1, 2, 4, 3, 6] },
  },
  {
    note: 'no videos',
    options: { patchSize: [1, 2, 2], inChannels: 4, embedDim: 12 },
    inputs: { latent: [0, 4, 3, 6, 8] },
  },
  {
    note: 'Wan’s channels, float32 given',
    options: { patchSize: [1, 2, 2], inChannels: 16, embedDim: 1536 },
    inputs: { latent: { shape: [1, 16, 2, 4, 6], dtype: 'float32' } },
  },
]);

const cogVideoX = {
  patchSize: 2,
  inChannels: 3,
  embedDim: 32,
  textEmbedDim: 11,
  sampleWidth: 8,
  sampleHeight: 6,
  sampleFrames: 9,
  temporalCompressionRatio: 4,
  maxTextSeqLength: 5,
};
const computed = { ...cogVideoX, useLearnedPositionalEmbeddings: false };
const plain = { ...computed, usePositionalEmbeddings: false };

const cogVideoXCases = everyDtype('CogVideoXPatchEmbed', [
  {
    note: 'a learned table',
    options: cogVideoX,
    inputs: { textEmbeds: [2, 5, 11], imageEmbeds: [2, 3, 3, 6, 8] },
  },
  {
    note: 'learned, other frames: computed',
    options: cogVideoX,
    inputs: { textEmbeds: [1, 5, 11], imageEmbeds: [1, 4, 3, 6, 8] },
  },
  {
    note: 'a computed table of another size',
    options: computed,
    inputs: { textEmbeds: [2, 5, 11], imageEmbeds: [2, 2, 3, 5, 10] },
  },
  {
    note: 'no positions, any text length',
    options: { ...plain, bias: false },
    inputs: { textEmbeds: [2, 7, 11], imageEmbeds: [2, 2, 3, 5, 8] },
  },
  {
    note: 'patches in time',
    options: { ...plain, patchSizeT: 2 },
    inputs: {
      textEmbeds: { shape: [2, 3, 11], dtype: 'float32' },
      imageEmbeds: { shape: [2, 4, 3, 4, 6], dtype: 'float32' },
    },
  },
  {
    note: 'no text, no videos',
    options: plain,
    inputs: { textEmbeds: [0, 0, 11], imageEmbeds: [0, 2, 3, 4, 6] },
  },
]);

const sincos3d: Case[] = (['float64', 'float32'] as const).flatMap((dtype) => [
  {
    op: 'get3dSincosPosEmbed',
    dtype,
    note: 'square',
    options: { embedDim: 16, spatialSize: [3, 3], temporalSize: 2 },
  },
  {
    op: 'get3dSincosPosEmbed',
    dtype,
    note: 'width before height, scales',
    options: {
      embedDim: 48,
      spatialSize: [5, 2],
      temporalSize: 3,
      spatialInterpolationScale: 1.875,
      temporalInterpolationScale: 0.7,
    },
  },
  {
    op: 'get3dSincosPosEmbed',
    dtype,
    note: 'no frames',
    options: { embedDim: 16, spatialSize: [2, 2], temporalSize: 0 },
  },
]);

export const familyCases: readonly Case[] = [
  ...sincos3d,
  ...linear,
  ...text,
  ...combinedText,
  ...combinedGuidance,
  ...sana,
  ...qwen,
  ...wanConditions,
  ...patches,
  ...cogVideoXCases,
];
