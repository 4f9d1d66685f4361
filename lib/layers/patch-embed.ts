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
  Layer,
  layerOptionNames,
  singleResultCall,
  type Call,
  type ForwardOptions,
  type LayerOptions,
} from './layer.js';

export interface PatchEmbedOptions extends LayerOptions {
  /** The configured latent size, in pixels of the latent. Default 224 each. */
  height?: number;
  width?: number;
  /** The edge of a square patch. Default 16. */
  patchSize?: number;
  /** Default 3. */
  inChannels?: number;
  /** D; a multiple of 4 if there is a position table. Default 768. */
  embedDim?: number;
  /** Normalises each token over D, without affine parameters. Default false. */
  layerNorm?: boolean;
  /** [B, N, D] (the default) instead of [B, D, h, w]. */
  flatten?: boolean;
  /** Whether the projection has a bias. Default true. */
  bias?: boolean;
  /** Divides the positions. Default 1. */
  interpolationScale?: number;
  /** 'sincos' (the default), or null: no positions are added. */
  posEmbedType?: 'sincos' | null;
  /**
   * M: the state dict has a table for M × M tokens, `pos_embed`, and each latent gets the rows and
   * columns about its centre. Default: none; without positions it has no effect.
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
 * Patches of a latent to tokens: a convolution with kernel = stride = patchSize and no padding
 * (trailing pixels that fill no patch are dropped), an optional layer norm, and a 2-D sinusoidal
 * position table (see `get2dSincosPosEmbed`) with base size ⌊height/patchSize⌋.
 *
 * At the configured size the table is the one that the reference builds at construction, for a
 * ⌊√N⌋ × ⌊√N⌋ grid; at any other size it is that of the latent's own grid. So a configured grid
 * that is not square, but has a square number of tokens, uses a square table, as in the reference.
 * If the reference's table cannot be added (it raises a broadcasting error), the table of the grid
 * itself is used.
 *
 * With `posEmbedMaxSize` every latent gets a crop of the loaded table, whatever that holds; latents
 * of more rows or columns of patches are refused.
 *
 * `forward(latent, options?)` takes a latent [B, C, H, W] of any floating dtype, with B ≥ 0. It returns
 * [B, N, D] with N = ⌊H/p⌋·⌊W/p⌋. With `flatten: false` it returns [B, D, ⌊H/p⌋, ⌊W/p⌋], if a table
 * [1, N, D] can be added to that. It throws ERR_VALUE for a latent that is no Tensor, ERR_SHAPE and
 * ERR_DTYPE.
 *
 * Weights: `proj.weight` [D, C, p, p], `proj.bias` [D]; `pos_embed` [1, ⌊√N⌋², D] is taken when
 * there and used at the configured size; with `posEmbedMaxSize` it is [1, M², D] and needed. Half types: the convolution rounds to them, the table is
 * added in float32, and the sum is rounded once more. Source: `PatchEmbed` of diffusers and mindone.
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
   * The frames of a video, read in place: [B, C, F, H, W] → [B·F, N, D] (b-major). Takes single
   * images, too.
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
