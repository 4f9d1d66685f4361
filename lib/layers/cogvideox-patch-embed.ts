import {
  checkArgumentCount,
  checkBoolean,
  checkInteger,
  checkOptions,
  checkPositive,
} from '../options.js';
import { checkVideoEmbedDim } from '../sincos.js';
import type { Tensor } from '../tensor/tensor.js';
import { tensorCall, type Call, type ForwardOptions } from './call.js';
import { Layer, layerOptionNames, type LayerOptions } from './layer.js';

/** The options of {@link CogVideoXPatchEmbed}. */
export interface CogVideoXPatchEmbedOptions extends LayerOptions {
  /** The rows and columns of a patch. Default 2. */
  patchSize?: number;
  /** The frames of a patch. Default null: patches of one frame. */
  patchSizeT?: number | null;
  /** C, the channels of the latent. Default 16. */
  inChannels?: number;
  /** D, the channels of the tokens. Default 1920. */
  embedDim?: number;
  /** The channels of the text encoder's states. Default 4096. */
  textEmbedDim?: number;
  /** Whether the patches' projection has a bias. With `patchSizeT` it always has one. Default true. */
  bias?: boolean;
  /** The width of the latent that a learned table is for, in latent pixels. Default 90. */
  sampleWidth?: number;
  /** The height of the latent that a learned table is for, in latent pixels. Default 60. */
  sampleHeight?: number;
  /** The frames of the video (not of the latent) that a learned table is for. Default 49. */
  sampleFrames?: number;
  /** How many frames of the video one frame of the latent stands for. Default 4. */
  temporalCompressionRatio?: number;
  /** L, the tokens of the text. Default 226. */
  maxTextSeqLength?: number;
  /** Divides the positions in a frame. Default 1.875. */
  spatialInterpolationScale?: number;
  /** Divides the positions in time. Default 1. */
  temporalInterpolationScale?: number;
  /** Whether positions are added. Default true. */
  usePositionalEmbeddings?: boolean;
  /** Whether positions are added from a table among the weights, `pos_embedding`. Default true. */
  useLearnedPositionalEmbeddings?: boolean;
}

const optionNames = [
  ...layerOptionNames,
  'patchSize',
  'patchSizeT',
  'inChannels',
  'embedDim',
  'textEmbedDim',
  'bias',
  'sampleWidth',
  'sampleHeight',
  'sampleFrames',
  'temporalCompressionRatio',
  'maxTextSeqLength',
  'spatialInterpolationScale',
  'temporalInterpolationScale',
  'usePositionalEmbeddings',
  'useLearnedPositionalEmbeddings',
] as const;

type CogVideoXPatchEmbedInputs = [
  textEmbeds: Tensor,
  imageEmbeds: Tensor,
  options?: ForwardOptions,
];

/**
 * A text's states and the patches of a video as one sequence of tokens, the text first.
 *
 * With either kind of positional embeddings, zeros are added to the text's tokens and the table of
 * `get3dSincosPosEmbed` to the patches. A learned table is used for latents of the sample's size. For
 * other numbers of frames a table is computed; other heights and widths are then refused.
 *
 * Weights: `proj.weight` [D, C, p, p], or with `patchSizeT` [D, C·pt·p·p]; `proj.bias`,
 * `text_proj.{weight, bias}`, `pos_embedding` [1, L + N, D] if learned. Source:
 * `CogVideoXPatchEmbed` of diffusers.
 *
 * `forward(textEmbeds, imageEmbeds, options?)` takes [B, L, textEmbedDim] and [B, F, C, H, W] of any
 * floating dtypes, and returns [B, L + N, D]. Trailing pixels that fill no patch are dropped; with
 * `patchSizeT`, frames, rows and columns must be multiples of the patch. It throws ERR_VALUE,
 * ERR_SHAPE and ERR_DTYPE.
 */
export class CogVideoXPatchEmbed extends Layer<CogVideoXPatchEmbedInputs, Tensor> {
  /** @throws LatteError ERR_VALUE, ERR_DTYPE, ERR_DEVICE_UNAVAILABLE. */
  constructor(options?: CogVideoXPatchEmbedOptions) {
    checkArgumentCount(arguments, 1, 'new CogVideoXPatchEmbed(options)');
    const given = checkOptions(options, optionNames);
    const side = (
      name: 'sampleWidth' | 'sampleHeight' | 'sampleFrames',
      fallback: number,
    ): number => checkInteger(given[name], name, fallback, 1, 2 ** 20);
    const use = checkBoolean(given.usePositionalEmbeddings, 'usePositionalEmbeddings', true);
    const learned = checkBoolean(
      given.useLearnedPositionalEmbeddings,
      'useLearnedPositionalEmbeddings',
      true,
    );
    const embedDim = checkInteger(given.embedDim, 'embedDim', 1920, 1, 2 ** 24);
    if (use || learned) checkVideoEmbedDim(embedDim);
    super('CogVideoXPatchEmbed', given, {
      patchSize: checkInteger(given.patchSize, 'patchSize', 2, 1, 2 ** 12),
      patchSizeT:
        given.patchSizeT == null
          ? 0
          : checkInteger(given.patchSizeT, 'patchSizeT', undefined, 1, 2 ** 12),
      inChannels: checkInteger(given.inChannels, 'inChannels', 16, 1, 2 ** 16),
      embedDim,
      textEmbedDim: checkInteger(given.textEmbedDim, 'textEmbedDim', 4096),
      bias: checkBoolean(given.bias, 'bias', true),
      sampleWidth: side('sampleWidth', 90),
      sampleHeight: side('sampleHeight', 60),
      sampleFrames: side('sampleFrames', 49),
      temporalCompressionRatio: checkInteger(
        given.temporalCompressionRatio,
        'temporalCompressionRatio',
        4,
        1,
        2 ** 20,
      ),
      maxTextSeqLength: checkInteger(given.maxTextSeqLength, 'maxTextSeqLength', 226, 1, 2 ** 20),
      spatialInterpolationScale: checkPositive(
        given.spatialInterpolationScale,
        'spatialInterpolationScale',
        1.875,
      ),
      temporalInterpolationScale: checkPositive(
        given.temporalInterpolationScale,
        'temporalInterpolationScale',
        1,
      ),
      usePositionalEmbeddings: use,
      useLearnedPositionalEmbeddings: learned,
    });
  }

  /** @internal */
  protected override call(given: CogVideoXPatchEmbedInputs): Call<Tensor> {
    return tensorCall(given, ['textEmbeds', 'imageEmbeds']);
  }
}
