import { isArray, LatteError, show } from '../errors.js';
import { checkArgumentCount, checkBoolean, checkInteger, checkOptions } from '../options.js';
import type { Tensor } from '../tensor/tensor.js';
import { tensorCall, type Call, type ForwardOptions } from './call.js';
import { Layer, layerOptionNames, type LayerOptions } from './layer.js';

/** The options of {@link PatchEmbed3d}. */
export interface PatchEmbed3dOptions extends LayerOptions {
  /** The frames, rows and columns of a patch. */
  patchSize: readonly [pt: number, ph: number, pw: number];
  /** C, the channels of the latent. */
  inChannels: number;
  /** D, the channels of the tokens. */
  embedDim: number;
  /** Whether the convolution has a bias. Default true. */
  bias?: boolean;
}

const optionNames = [...layerOptionNames, 'patchSize', 'inChannels', 'embedDim', 'bias'] as const;

type PatchEmbed3dInputs = [latent: Tensor, options?: ForwardOptions];

/**
 * Makes tokens of the patches of a video: a 3-D convolution with kernel = stride = patchSize and no
 * padding. Trailing frames, rows and columns that fill no patch are dropped.
 *
 * Weights: `proj.weight` [D, C, pt, ph, pw], `proj.bias` [D]. Source: `patch_embedding` of diffusers'
 * `WanTransformer3DModel`, `HunyuanVideoPatchEmbed` of diffusers.
 *
 * `forward(latent, options?)` takes a latent [B, C, F, H, W] of any floating dtype. It returns
 * [B, N, D] with N = ⌊F/pt⌋·⌊H/ph⌋·⌊W/pw⌋, frame by frame and row by row. It throws ERR_VALUE,
 * ERR_SHAPE and ERR_DTYPE.
 */
export class PatchEmbed3d extends Layer<PatchEmbed3dInputs, Tensor> {
  /** @throws LatteError ERR_VALUE, ERR_DTYPE, ERR_DEVICE_UNAVAILABLE. */
  constructor(options: PatchEmbed3dOptions) {
    checkArgumentCount(arguments, 1, 'new PatchEmbed3d(options)');
    const given = checkOptions(options, optionNames);
    const [patchFrames, patchHeight, patchWidth] = checkPatchSize(given.patchSize);
    super('PatchEmbed3d', given, {
      patchFrames,
      patchHeight,
      patchWidth,
      inChannels: checkInteger(given.inChannels, 'inChannels', undefined, 1, 2 ** 16),
      embedDim: checkInteger(given.embedDim, 'embedDim', undefined, 1, 2 ** 24),
      bias: checkBoolean(given.bias, 'bias', true),
    });
  }

  /** @internal */
  protected override call(given: PatchEmbed3dInputs): Call<Tensor> {
    return tensorCall(given, ['latent']);
  }
}

/** Checks the frames, rows and columns of a patch. @throws LatteError ERR_VALUE. @internal */
export function checkPatchSize(patchSize: unknown): [number, number, number] {
  if (!isArray(patchSize) || patchSize.length !== 3) {
    throw new LatteError(
      'ERR_VALUE',
      `patchSize must be [frames, rows, columns], but is ${show(patchSize)}`,
    );
  }
  const side = (i: number): number =>
    checkInteger(patchSize[i], `patchSize[${i}]`, undefined, 1, 2 ** 12);
  return [side(0), side(1), side(2)];
}
