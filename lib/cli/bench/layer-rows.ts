import type { LayerKind } from '../../checkpoint/layer-kind.js';
import type { AnyLayer, FloatDType, Tensor } from '../../index.js';

// The layers of Latte and of other models, at their models' own sizes.

type Library = typeof import('../../index.js');

/** The sizes of the layers and inputs that are measured. */
export interface Sizes {
  /** The channels of Latte's embeddings. */
  dim: number;
  /** The channels of the text encoder's states. */
  text: number;
  /** Latte's latent [B, C, H, W]; H = W. */
  latent: [number, number, number, number];
  /** The tokens of Latte's caption, whose batch is 2. */
  tokens: number;
  /** The number of forwards of which the median is taken; fewer if they would take over a second. */
  repetitions: number;
  /** Whether the layers of other models are tiny, too, instead of at their own sizes. */
  isTiny: boolean;
}

/** Latte-XL at 512×512: 16 frames with guidance, 120 tokens. */
export const latteXl: Sizes = {
  dim: 1152,
  text: 4096,
  latent: [32, 4, 64, 64],
  tokens: 120,
  repetitions: 50,
  isTiny: false,
};
/** Too small to measure speed: shows only that everything runs. */
export const small: Sizes = {
  dim: 48,
  text: 64,
  latent: [2, 4, 8, 8],
  tokens: 7,
  repetitions: 3,
  isTiny: true,
};

/** A tensor of random values, on the device and in the dtype of the layer. */
interface Random {
  readonly lengths: readonly number[];
}

/** A layer of a model, and the inputs of a forward. */
export interface BenchRow {
  /** The model whose sizes these are. */
  readonly model: string;
  readonly make: (settings: { device: string; dtype: FloatDType }) => AnyLayer;
  /** In the order of the forward's arguments. What is not {@link Random} stays as it is. */
  readonly inputs: Readonly<Record<string, Random | readonly number[] | Tensor>>;
  /** Whether the forward takes one object with all inputs. */
  readonly isNamed: boolean;
}

const random = (...lengths: number[]): Random => ({ lengths });

/** The layers of models, and one that only programs make. TimestepEmbedding is part of others. */
type BenchLayer = Exclude<LayerKind, 'TimestepEmbedding'> | 'CombinedTimestepSizeEmbeddings';

/** The layers to measure. */
export function benchRows(library: Library, sizes: Sizes): Record<BenchLayer, BenchRow> {
  const { dim, text, latent, isTiny } = sizes;
  const pick = (full: number, small: number): number => (isTiny ? small : full);
  const tokens = pick(512, 7);
  const [height, width] = [pick(60, 4), pick(104, 6)];
  const row = <Options>(
    Class: new (options: Options) => unknown,
    model: string,
    options: Omit<Options, 'device' | 'dtype'>,
    inputs: BenchRow['inputs'],
    isNamed = true,
  ): BenchRow => ({
    ...{ model, inputs, isNamed },
    make: (settings) => new Class({ ...options, ...settings } as Options) as AnyLayer,
  });
  const wan = pick(1536, 48);
  const flux = pick(3072, 64);
  const [, inChannels, side] = latent;
  const latte = 'Latte-XL';
  return {
    PatchEmbed: row(
      library.PatchEmbed,
      latte,
      { height: side, width: side, patchSize: 2, inChannels, embedDim: dim },
      { latent: random(...latent) },
      false,
    ),
    AdaLayerNormSingle: row(
      library.AdaLayerNormSingle,
      latte,
      { embeddingDim: dim },
      { timestep: Array.from({ length: 20 }, (_, i) => 999 - 50 * i) },
    ),
    CombinedTimestepSizeEmbeddings: row(
      library.CombinedTimestepSizeEmbeddings,
      latte,
      { embeddingDim: dim, sizeEmbDim: dim / 3, useAdditionalConditions: true },
      {
        timestep: [999, 999],
        resolution: new library.Tensor('float32', [512, 512, 512, 512], [2, 2]),
        aspectRatio: new library.Tensor('float32', [1, 1], [2, 1]),
      },
    ),
    CaptionProjection: row(
      library.CaptionProjection,
      latte,
      { inFeatures: text, hiddenSize: dim },
      { caption: random(2, sizes.tokens, text) },
      false,
    ),
    PatchEmbed3d: row(
      library.PatchEmbed3d,
      'Wan 1.3B',
      { patchSize: [1, 2, 2], inChannels: 16, embedDim: wan },
      { latent: random(1, 16, pick(21, 3), height, width) },
      false,
    ),
    WanTimeTextImageEmbedding: row(
      library.WanTimeTextImageEmbedding,
      'Wan 1.3B',
      { dim: wan, timeFreqDim: 256, timeProjDim: 6 * wan, textEmbedDim: text },
      { timestep: [731], encoderHiddenStates: random(1, tokens, text) },
    ),
    Linear: row(
      library.Linear,
      'Flux, contextEmbedder',
      { inFeatures: text, outFeatures: flux },
      { input: random(1, tokens, text) },
      false,
    ),
    CombinedTimestepGuidanceTextProjEmbeddings: row(
      library.CombinedTimestepGuidanceTextProjEmbeddings,
      'Flux',
      { embeddingDim: flux, pooledProjectionDim: pick(768, 32) },
      { timestep: [731], guidance: [3500], pooledProjection: random(1, pick(768, 32)) },
    ),
    CombinedTimestepTextProjEmbeddings: row(
      library.CombinedTimestepTextProjEmbeddings,
      'SD3',
      { embeddingDim: wan, pooledProjectionDim: pick(2048, 32) },
      { timestep: [731, 731], pooledProjection: random(2, pick(2048, 32)) },
    ),
    PixArtAlphaTextProjection: row(
      library.PixArtAlphaTextProjection,
      'LTX-Video',
      { inFeatures: text, hiddenSize: pick(2048, 48) },
      { caption: random(1, pick(128, 7), text) },
      false,
    ),
    SanaCombinedTimestepGuidanceEmbeddings: row(
      library.SanaCombinedTimestepGuidanceEmbeddings,
      'Sana Sprint',
      { embeddingDim: pick(2240, 48) },
      { timestep: [731], guidance: [450] },
    ),
    QwenTimestepProjEmbeddings: row(
      library.QwenTimestepProjEmbeddings,
      'Qwen-Image',
      { embeddingDim: flux },
      { timestep: [0.5, 0.5] },
    ),
    CogVideoXPatchEmbed: row(
      library.CogVideoXPatchEmbed,
      'CogVideoX 2B',
      {
        ...{ patchSize: 2, inChannels: 16, embedDim: pick(1920, 64), textEmbedDim: text },
        ...{ sampleHeight: height, sampleWidth: pick(90, 6), sampleFrames: pick(49, 9) },
        ...{ temporalCompressionRatio: 4, maxTextSeqLength: pick(226, 7) },
        ...{ spatialInterpolationScale: 1.875, useLearnedPositionalEmbeddings: false },
      },
      {
        textEmbeds: random(1, pick(226, 7), text),
        imageEmbeds: random(1, pick(13, 3), 16, height, pick(90, 6)),
      },
      false,
    ),
  };
}
