import type { Options } from './operation.js';
import type { familyParameters } from './parameters-family.js';

/** A model's layer and its inputs. */
export interface ModelCase {
  op: keyof typeof familyParameters | 'PatchEmbed';
  /** The model and its size, for the reader. */
  model: string;
  options: Readonly<Record<string, unknown>>;
  /** A shape, or the numbers of a vector. */
  inputs: Readonly<Record<string, { shape: number[]; values?: number[] }>>;
}

const shape = (...extents: number[]): { shape: number[] } => ({ shape: extents });
const numbers = (...values: number[]): { shape: number[]; values: number[] } => ({
  shape: [values.length],
  values,
});

const wan = { timeFreqDim: 256, textEmbedDim: 4096 };
/** 81 frames of 832×480 in latent space. */
const wanLatent = shape(1, 16, 21, 60, 104);
const cogVideoX = { patchSize: 2, inChannels: 16, textEmbedDim: 4096, sampleWidth: 90 };
const cogVideoXSample = { sampleHeight: 60, sampleFrames: 49, temporalCompressionRatio: 4 };

/**
 * The layers of the sibling transformers at their models' own sizes. `bench/cases` measures each under its
 * name, and compares its results with the peers'. The device tests use smaller cases of the same layers:
 * `cases-family.ts`.
 */
export const modelCases = {
  'wan-1.3b-patch': {
    op: 'PatchEmbed3d',
    model: 'Wan 1.3B',
    options: { patchSize: [1, 2, 2], inChannels: 16, embedDim: 1536 },
    inputs: { latent: wanLatent },
  },
  'wan-14b-patch': {
    op: 'PatchEmbed3d',
    model: 'Wan 14B',
    options: { patchSize: [1, 2, 2], inChannels: 16, embedDim: 5120 },
    inputs: { latent: wanLatent },
  },
  'patch-2x2x2': {
    op: 'PatchEmbed3d',
    model: 'patches in time',
    options: { patchSize: [2, 2, 2], inChannels: 16, embedDim: 1536 },
    inputs: { latent: shape(1, 16, 20, 60, 104) },
  },
  'sd3-patch': {
    op: 'PatchEmbed',
    model: 'SD3, a crop of the stored table',
    options: {
      ...{ height: 128, width: 128, patchSize: 2, inChannels: 16, embedDim: 1536 },
      posEmbedMaxSize: 96,
    },
    inputs: { latent: shape(2, 16, 128, 128) },
  },
  'sana-patch': {
    op: 'PatchEmbed',
    model: 'Sana, no positions',
    options: {
      ...{ height: 32, width: 32, patchSize: 1, inChannels: 32, embedDim: 2240 },
      posEmbedType: null,
    },
    inputs: { latent: shape(2, 32, 32, 32) },
  },
  'cogvideox-patch': {
    op: 'CogVideoXPatchEmbed',
    model: 'CogVideoX 2B',
    options: {
      ...{ ...cogVideoX, ...cogVideoXSample, embedDim: 1920, maxTextSeqLength: 226 },
      ...{ spatialInterpolationScale: 1.875, temporalInterpolationScale: 1 },
      useLearnedPositionalEmbeddings: false,
    },
    inputs: { textEmbeds: shape(1, 226, 4096), imageEmbeds: shape(1, 13, 16, 60, 90) },
  },
  'cogvideox-1.5-patch': {
    op: 'CogVideoXPatchEmbed',
    model: 'CogVideoX 1.5, patches in time',
    options: {
      ...{ ...cogVideoX, ...cogVideoXSample, embedDim: 3072, maxTextSeqLength: 226 },
      ...{ patchSizeT: 2, usePositionalEmbeddings: false, useLearnedPositionalEmbeddings: false },
    },
    inputs: { textEmbeds: shape(1, 226, 4096), imageEmbeds: shape(1, 14, 16, 60, 90) },
  },
  'ltx-text': {
    op: 'PixArtAlphaTextProjection',
    model: 'LTX-Video',
    options: { inFeatures: 4096, hiddenSize: 2048 },
    inputs: { caption: shape(1, 128, 4096) },
  },
  'flux-image': {
    op: 'Linear',
    model: 'Flux, xEmbedder',
    options: { inFeatures: 64, outFeatures: 3072 },
    inputs: { input: shape(1, 4096, 64) },
  },
  'flux-text': {
    op: 'Linear',
    model: 'Flux, contextEmbedder',
    options: { inFeatures: 4096, outFeatures: 3072 },
    inputs: { input: shape(1, 512, 4096) },
  },
  'sd3-condition': {
    op: 'CombinedTimestepTextProjEmbeddings',
    model: 'SD3',
    options: { embeddingDim: 1536, pooledProjectionDim: 2048 },
    inputs: { timestep: numbers(731, 731), pooledProjection: shape(2, 2048) },
  },
  'flux-condition': {
    op: 'CombinedTimestepGuidanceTextProjEmbeddings',
    model: 'Flux',
    options: { embeddingDim: 3072, pooledProjectionDim: 768 },
    inputs: {
      timestep: numbers(731),
      guidance: numbers(3500),
      pooledProjection: shape(1, 768),
    },
  },
  'sana-condition': {
    op: 'SanaCombinedTimestepGuidanceEmbeddings',
    model: 'Sana Sprint',
    options: { embeddingDim: 2240 },
    inputs: { timestep: numbers(731), guidance: numbers(450) },
  },
  'qwen-condition': {
    op: 'QwenTimestepProjEmbeddings',
    model: 'Qwen-Image',
    options: { embeddingDim: 3072 },
    inputs: { timestep: numbers(0.5, 0.5) },
  },
  'wan-1.3b-condition': {
    op: 'WanTimeTextImageEmbedding',
    model: 'Wan 1.3B',
    options: { ...wan, dim: 1536, timeProjDim: 9216 },
    inputs: { timestep: numbers(731), encoderHiddenStates: shape(1, 512, 4096) },
  },
  'wan-image-condition': {
    op: 'WanTimeTextImageEmbedding',
    model: 'Wan 1.3B with an image',
    options: { ...wan, dim: 1536, timeProjDim: 9216, imageEmbedDim: 1280 },
    inputs: {
      timestep: numbers(731),
      encoderHiddenStates: shape(1, 512, 4096),
      encoderHiddenStatesImage: shape(1, 257, 1280),
    },
  },
} satisfies Record<string, ModelCase>;

/** A case's options, in the type that the table of weights takes. */
export const optionsOf = ({ options }: ModelCase): Options => options as never;
