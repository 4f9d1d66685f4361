import type { AnyLayer, FloatDType, Tensor } from '../../index.js';

// The layers of other models than Latte, at their models' own sizes.

type Library = typeof import('../../index.js');

/** A layer of a model, and the inputs of a forward. */
export interface FamilyRow {
  readonly layer: string;
  /** The model whose sizes these are. */
  readonly model: string;
  readonly make: (settings: { device: string; dtype: FloatDType }) => AnyLayer;
  /** The inputs' shapes; a list of numbers stays as it is. The order is that of the forward's arguments. */
  readonly inputs: Readonly<Record<string, readonly number[] | { readonly shape: number[] }>>;
  /** Whether the forward takes one object with all inputs. */
  readonly isNamed: boolean;
}

const shape = (...lengths: number[]): { shape: number[] } => ({ shape: lengths });

/** @param quick tiny layers instead of the models' sizes. */
export function familyRows(library: Library, quick: boolean): FamilyRow[] {
  const pick = (full: number, small: number): number => (quick ? small : full);
  const text = pick(4096, 64);
  const tokens = pick(512, 7);
  const [height, width] = [pick(60, 4), pick(104, 6)];
  const row = <Options>(
    Class: new (options: Options) => unknown,
    model: string,
    options: Omit<Options, 'device' | 'dtype'>,
    inputs: FamilyRow['inputs'],
    isNamed = true,
  ): FamilyRow => ({
    ...{ layer: Class.name, model, inputs, isNamed },
    make: (settings) => new Class({ ...options, ...settings } as Options) as AnyLayer,
  });
  const wan = pick(1536, 48);
  const flux = pick(3072, 64);
  return [
    row(
      library.PatchEmbed3d,
      'Wan 1.3B',
      { patchSize: [1, 2, 2], inChannels: 16, embedDim: wan },
      { latent: shape(1, 16, pick(21, 3), height, width) },
      false,
    ),
    row(
      library.WanTimeTextImageEmbedding,
      'Wan 1.3B',
      { dim: wan, timeFreqDim: 256, timeProjDim: 6 * wan, textEmbedDim: text },
      { timestep: [731], encoderHiddenStates: shape(1, tokens, text) },
    ),
    row(
      library.Linear,
      'Flux, contextEmbedder',
      { inFeatures: text, outFeatures: flux },
      { input: shape(1, tokens, text) },
      false,
    ),
    row(
      library.CombinedTimestepGuidanceTextProjEmbeddings,
      'Flux',
      { embeddingDim: flux, pooledProjectionDim: pick(768, 32) },
      { timestep: [731], guidance: [3500], pooledProjection: shape(1, pick(768, 32)) },
    ),
    row(
      library.CombinedTimestepTextProjEmbeddings,
      'SD3',
      { embeddingDim: wan, pooledProjectionDim: pick(2048, 32) },
      { timestep: [731, 731], pooledProjection: shape(2, pick(2048, 32)) },
    ),
    row(
      library.PixArtAlphaTextProjection,
      'LTX-Video',
      { inFeatures: text, hiddenSize: pick(2048, 48) },
      { caption: shape(1, pick(128, 7), text) },
      false,
    ),
    row(
      library.SanaCombinedTimestepGuidanceEmbeddings,
      'Sana Sprint',
      { embeddingDim: pick(2240, 48) },
      { timestep: [731], guidance: [450] },
    ),
    row(
      library.QwenTimestepProjEmbeddings,
      'Qwen-Image',
      { embeddingDim: flux },
      { timestep: [0.5, 0.5] },
    ),
    row(
      library.CogVideoXPatchEmbed,
      'CogVideoX 2B',
      {
        ...{ patchSize: 2, inChannels: 16, embedDim: pick(1920, 64), textEmbedDim: text },
        ...{ sampleHeight: height, sampleWidth: pick(90, 6), sampleFrames: pick(49, 9) },
        ...{ temporalCompressionRatio: 4, maxTextSeqLength: pick(226, 7) },
        ...{ spatialInterpolationScale: 1.875, useLearnedPositionalEmbeddings: false },
      },
      {
        textEmbeds: shape(1, pick(226, 7), text),
        imageEmbeds: shape(1, pick(13, 3), 16, height, pick(90, 6)),
      },
      false,
    ),
  ];
}

/** The tensors of a forward's result. */
export function resultsOf(result: Tensor | Readonly<Record<string, Tensor | null>>): Tensor[] {
  const named = 'dispose' in result ? { result: result as Tensor } : result;
  return Object.values(named).filter((each) => each !== null);
}
