import { Tensor, devices } from '../../lib/index.js';
import { rawBits } from '../support/tensors.js';
import type { Case, InputCase, Place } from './run.js';

// Tests where inputs are: on the host, in a caller's array at an odd offset, on the device itself, or on
// another device. There is one small row for each layer, and for each kind of bookkeeping in a device. One
// dtype is enough. Inputs have that dtype or others, so that they are converted on the host, on the device,
// or not at all.

const dtype = 'float16';
const sized = { embeddingDim: 24, sizeEmbDim: 8, useAdditionalConditions: true };
const resolution: InputCase = { shape: [2, 2], dtype: 'float32', values: [512, 512, 256, 1024] };
const aspectRatio: InputCase = { shape: [2, 1], dtype: 'float32', values: [1, 0.25] };

function timesteps(values: number[], type: InputCase['dtype'] = 'float32'): InputCase {
  return { shape: [values.length], dtype: type, values };
}

export const residencyCases: readonly Case[] = [
  {
    op: 'PatchEmbed',
    dtype,
    note: 'the layer’s dtype',
    options: { height: 8, width: 8, patchSize: 2, inChannels: 4, embedDim: 16 },
    inputs: { latent: { shape: [2, 4, 8, 8] } },
  },
  {
    op: 'PatchEmbed',
    dtype,
    note: 'float32 given',
    options: { height: 8, width: 8, patchSize: 2, inChannels: 4, embedDim: 16 },
    inputs: { latent: { shape: [1, 4, 6, 10], dtype: 'float32' } },
  },
  {
    op: 'Timesteps',
    dtype: 'float32',
    note: 'float32',
    options: { numChannels: 10, flipSinToCos: true, downscaleFreqShift: 0 },
    inputs: { timesteps: timesteps([1, 50.5, 999]) },
  },
  {
    op: 'Timesteps',
    dtype: 'float32',
    note: 'int64',
    options: { numChannels: 7, flipSinToCos: true, downscaleFreqShift: 0 },
    inputs: { timesteps: timesteps([1, 50, 999], 'int64') },
  },
  {
    op: 'TimestepEmbedding',
    dtype,
    note: 'a condition in float32',
    options: { inChannels: 10, timeEmbedDim: 12, condProjDim: 3 },
    inputs: { sample: { shape: [3, 10] }, condition: { shape: [3, 3], dtype: 'float32' } },
  },
  {
    op: 'CombinedTimestepSizeEmbeddings',
    dtype,
    note: 'sizes',
    options: sized,
    inputs: { timestep: timesteps([999, 3]), resolution, aspectRatio },
  },
  {
    op: 'CombinedTimestepSizeEmbeddings',
    dtype,
    note: 'integers, one timestep and tiled sizes',
    options: { ...sized, batchSize: 6 },
    inputs: {
      timestep: timesteps([7], 'int64'),
      resolution: { ...resolution, dtype: 'int32' },
      aspectRatio,
    },
  },
  {
    op: 'AdaLayerNormSingle',
    dtype,
    note: 'sizes',
    options: { embeddingDim: 12, useAdditionalConditions: true },
    inputs: { timestep: timesteps([12, 80]), resolution, aspectRatio },
  },
  {
    op: 'CaptionProjection',
    dtype,
    note: 'dropped ids',
    options: { inFeatures: 9, hiddenSize: 8 },
    inputs: { caption: { shape: [2, 3, 9] }, forceDropIds: timesteps([1, 0], 'int64') },
  },
  {
    op: 'PatchEmbed3d',
    dtype,
    note: 'float32 given',
    options: { patchSize: [1, 2, 2], inChannels: 4, embedDim: 16 },
    inputs: { latent: { shape: [2, 4, 2, 4, 6], dtype: 'float32' } },
  },
  {
    op: 'Linear',
    dtype,
    note: 'the layer’s dtype',
    options: { inFeatures: 9, outFeatures: 7 },
    inputs: { input: { shape: [3, 9] } },
  },
  {
    op: 'PixArtAlphaTextProjection',
    dtype,
    note: 'the layer’s dtype',
    options: { inFeatures: 9, hiddenSize: 8, outFeatures: 5 },
    inputs: { caption: { shape: [2, 3, 9] } },
  },
  {
    op: 'CombinedTimestepTextProjEmbeddings',
    dtype,
    note: 'one timestep',
    options: { embeddingDim: 12, pooledProjectionDim: 5 },
    inputs: { timestep: timesteps([7], 'int64'), pooledProjection: { shape: [2, 5] } },
  },
  {
    op: 'CombinedTimestepGuidanceTextProjEmbeddings',
    dtype,
    note: 'a row each',
    options: { embeddingDim: 12, pooledProjectionDim: 5 },
    inputs: {
      timestep: timesteps([7, 999]),
      guidance: timesteps([3500, 1]),
      pooledProjection: { shape: [2, 5] },
    },
  },
  {
    op: 'SanaCombinedTimestepGuidanceEmbeddings',
    dtype,
    note: 'one guidance',
    options: { embeddingDim: 12 },
    inputs: { timestep: timesteps([7, 999]), guidance: timesteps([0.45]) },
  },
  {
    op: 'QwenTimestepProjEmbeddings',
    dtype,
    note: 'rows of the table',
    options: { embeddingDim: 12, useAdditionalTCond: true },
    inputs: { timestep: timesteps([0.5, 1]), additionTCond: timesteps([1, 0], 'int64') },
  },
  {
    op: 'WanTimeTextImageEmbedding',
    dtype,
    note: 'text and images',
    options: {
      ...{ dim: 12, timeFreqDim: 32, timeProjDim: 9, textEmbedDim: 7 },
      ...{ imageEmbedDim: 6, posEmbedSeqLen: 4 },
    },
    inputs: {
      timestep: timesteps([7]),
      encoderHiddenStates: { shape: [1, 2, 7] },
      encoderHiddenStatesImage: { shape: [2, 2, 6], dtype: 'float32' },
    },
  },
  {
    op: 'CogVideoXPatchEmbed',
    dtype,
    note: 'a computed table',
    options: {
      ...{ patchSize: 2, inChannels: 3, embedDim: 16, textEmbedDim: 7, maxTextSeqLength: 2 },
      ...{ sampleWidth: 8, sampleHeight: 6, sampleFrames: 9, temporalCompressionRatio: 4 },
      useLearnedPositionalEmbeddings: false,
    },
    inputs: {
      textEmbeds: { shape: [2, 2, 7] },
      imageEmbeds: { shape: [2, 2, 3, 4, 6], dtype: 'float32' },
    },
  },
];

/**
 * More than 16 KiB of numbers, so that the device converts them. 16 does not divide their number, so that
 * the next input begins at an address where no copy may begin. Larger than the other rows, so it is tested
 * in one place only.
 */
const many = Array.from({ length: 2049 }, (_, i) => (i * 37) % 1000);
export const manyTimesteps: Case = {
  op: 'CombinedTimestepSizeEmbeddings',
  dtype,
  note: 'many timesteps',
  options: { embeddingDim: 4, sizeEmbDim: 2, useAdditionalConditions: true },
  inputs: {
    timestep: timesteps(many, 'int64'),
    resolution: timesteps([512]),
    aspectRatio: timesteps([1.25]),
  },
};

/** Copies a tensor's elements into a caller's array that begins one element into its buffer. */
function atOddOffset(tensor: Tensor): Tensor {
  const bytes = rawBits(tensor);
  const { BYTES_PER_ELEMENT: unit, constructor } = tensor.data;
  const buffer = new ArrayBuffer(bytes.length + unit);
  new Uint8Array(buffer, unit).set(bytes);
  const View = constructor as new (b: ArrayBuffer, offset: number, n: number) => Tensor['data'];
  return new Tensor(tensor.dtype, new View(buffer, unit, tensor.size), [...tensor.shape]);
}

/** The places where an input can be, seen from a layer's device. */
export function placesOf(device: string): Record<string, (tensor: Tensor) => ReturnType<Place>> {
  const other = devices().find(({ name, kind }) => name !== device && kind === 'npu')?.name;
  return {
    'a caller’s array at an odd offset': atOddOffset,
    'the own device': (tensor) => tensor.to(device),
    ...(other === undefined ? {} : { 'another device': (tensor) => tensor.to(other) }),
  };
}
