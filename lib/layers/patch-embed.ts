import { LatteError, show } from '../errors.js';
import {
  checkArgumentCount,
  checkBoolean,
  checkInteger,
  checkOptions,
  checkPositive,
} from '../options.js';
import type { Tensor } from '../tensor/tensor.js';
import {
  checkRank,
  checkTensor,
  singleResultCall,
  type Call,
  type ForwardOptions,
} from './call.js';
import { Layer, layerOptionNames, type LayerOptions } from './layer.js';

/** The options of {@link PatchEmbed}. */
export interface PatchEmbedOptions extends LayerOptions {
  /** The configured height of latents, in latent pixels. Latents of other sizes work too. Default 224. */
  height?: number;
  /** The configured width of latents, in latent pixels. Default 224. */
  width?: number;
  /** p, the rows and columns of a patch, in latent pixels. Default 16. */
  patchSize?: number;
  /** C, the channels of the latent. Default 3. */
  inChannels?: number;
  /** D, the channels of the tokens; a multiple of 4 if positions are added. Default 768. */
  embedDim?: number;
  /** Whether each token is normalised over D, without weight and bias. Default false. */
  layerNorm?: boolean;
  /** Whether the result is [B, N, D]; false returns [B, D, rows, columns]. Default true. */
  flatten?: boolean;
  /** Whether the projection has a bias. Default true. */
  bias?: boolean;
  /** Divides the positions. Default 1. */
  interpolationScale?: number;
  /** 'sincos' adds a sinusoidal table (the default), null adds no positions. */
  posEmbedType?: 'sincos' | null;
  /**
   * M: the weights have a position table for M × M tokens, `pos_embed`, and each latent gets the rows
   * and columns in the middle of that table. Default null: there is no such table. It has no effect
   * if `posEmbedType` is null.
   */
  posEmbedMaxSize?: number | null;
}

const optionNames = [
  ...layerOptionNames,
  'height',
  'width',
  'patchSize',
  'inChannels',
  'embedDim',
  'layerNorm',
  'flatten',
  'bias',
  'interpolationScale',
  'posEmbedType',
  'posEmbedMaxSize',
] as const;

type PatchEmbedInputs = [latent: Tensor, options?: ForwardOptions];

/**
 * Makes tokens of the patches of a latent: a convolution with kernel = stride = patchSize and no
 * padding, an optional layer norm, and the addition of a 2-D sinusoidal position table. Trailing
 * pixels that fill no patch are dropped.
 *
 * The table is that of `get2dSincosPosEmbed` with base size ⌊height/patchSize⌋. For a latent of the
 * configured size (N tokens) it is the reference's table, for a ⌊√N⌋ × ⌊√N⌋ grid. So a configured
 * grid that is not square, but has a square number of tokens, gets a square table, as in the
 * reference. If ⌊√N⌋² is not N, the reference raises a broadcasting error; this layer then uses the
 * table of the latent's own grid. For a latent of any other size it does the same.
 *
 * With `posEmbedMaxSize` each latent gets a crop of the loaded table. Latents with more rows or
 * columns of patches than the table are refused.
 *
 * Weights: `proj.weight` [D, C, p, p] and `proj.bias` [D]. `pos_embed` [1, ⌊√N⌋², D] is optional, and
 * replaces the computed table at the configured size. With `posEmbedMaxSize` it is [1, M², D] and
 * required. In float16 and bfloat16 the convolution's result is rounded, the table is added in
 * float32, and the sum is rounded again. Source: `PatchEmbed` of diffusers and mindone.
 *
 * `forward(latent, options?)` takes a latent [B, C, H, W] of any floating dtype, with B ≥ 0. It returns
 * [B, N, D] with N = ⌊H/p⌋·⌊W/p⌋. With `flatten: false` it returns [B, D, ⌊H/p⌋, ⌊W/p⌋]; a table
 * [1, N, D] must then broadcast to that shape. It throws ERR_VALUE for a latent that is no Tensor,
 * ERR_SHAPE and ERR_DTYPE.
 * @example
 * ```ts
 * const layer = new PatchEmbed({
 *   height: 64,
 *   width: 64,
 *   patchSize: 2,
 *   inChannels: 4,
 *   embedDim: 1152,
 * });
 * layer.loadStateDict(weights);
 * const tokens = await layer.forward(latent); // [16, 4, 64, 64] → [16, 1024, 1152]
 * ```
 */
export class PatchEmbed extends Layer<PatchEmbedInputs, Tensor> {
  /** @throws LatteError ERR_VALUE, ERR_DTYPE, ERR_DEVICE_UNAVAILABLE. */
  constructor(options?: PatchEmbedOptions) {
    checkArgumentCount(arguments, 1, 'new PatchEmbed(options)');
    const given = checkOptions(options, optionNames);
    const embedDim = checkInteger(given.embedDim, 'embedDim', 768, 1, 2 ** 24);
    const { posEmbedType = 'sincos', posEmbedMaxSize } = given;
    const positions = posEmbedType !== null;
    if (positions && (posEmbedType as unknown) !== 'sincos') {
      const text = typeof posEmbedType === 'string' ? posEmbedType : show(posEmbedType);
      throw new LatteError(
        'ERR_VALUE',
        `Unsupported pos_embed_type: ${text} (posEmbedType must be 'sincos' or null)`,
      );
    }
    const maxSize =
      posEmbedMaxSize == null
        ? 0
        : checkInteger(posEmbedMaxSize, 'posEmbedMaxSize', undefined, 1, 2 ** 14);
    if (positions && embedDim % 4 !== 0) {
      throw new LatteError(
        'ERR_VALUE',
        `embed_dim must be divisible by 2 (each half of the position table, too), but embedDim is ${embedDim}`,
      );
    }
    super('PatchEmbed', given, {
      height: checkInteger(given.height, 'height', 224, 1, 2 ** 20),
      width: checkInteger(given.width, 'width', 224, 1, 2 ** 20),
      patchSize: checkInteger(given.patchSize, 'patchSize', 16, 1, 2 ** 12),
      inChannels: checkInteger(given.inChannels, 'inChannels', 3, 1, 2 ** 16),
      embedDim,
      layerNorm: checkBoolean(given.layerNorm, 'layerNorm', false),
      flatten: checkBoolean(given.flatten, 'flatten', true),
      bias: checkBoolean(given.bias, 'bias', true),
      interpolationScale: checkPositive(given.interpolationScale, 'interpolationScale', 1),
      positions,
      posEmbedMaxSize: positions ? maxSize : 0,
    });
  }

  /**
   * Embeds the frames of a video, [B, C, F, H, W] → [B·F, N, D], or of images, [B, C, H, W] →
   * [B, N, D]. The frames of one video are next to each other. No transposed copy is made.
   * @internal
   */
  async forwardVideo(latent: Tensor, options?: ForwardOptions): Promise<Tensor> {
    const tensor = checkTensor(latent, 'latent');
    if (tensor.shape.length !== 5)
      checkRank(tensor, 'latent', 4, '[B, C, F, H, W] or [B, C, H, W]');
    return this.run(singleResultCall([['latent', tensor]], options));
  }

  /** @internal */
  protected override call(inputs: PatchEmbedInputs): Call<Tensor> {
    checkArgumentCount(inputs, 2, 'forward(latent, options)');
    const [latent, options] = inputs;
    const tensor = checkTensor(latent, 'latent');
    checkRank(tensor, 'latent', 4, '[B, C, H, W]');
    return singleResultCall([['latent', tensor]], options);
  }
}
