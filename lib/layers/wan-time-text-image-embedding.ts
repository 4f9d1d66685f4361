import { checkArgumentCount, checkInteger, checkOptions } from '../options.js';
import type { TensorLike } from '../tensor/tensor-like.js';
import type { Tensor } from '../tensor/tensor.js';
import { namedInputs } from './conditions.js';
import {
  Layer,
  layerOptionNames,
  namedResultsCall,
  type Call,
  type ForwardOptions,
  type LayerOptions,
} from './layer.js';

export interface WanTimeTextImageEmbeddingOptions extends LayerOptions {
  /** The channels of the transformer. */
  dim: number;
  /** The channels of the timesteps' sinusoids. */
  timeFreqDim: number;
  /** The channels of `timestepProj`. */
  timeProjDim: number;
  /** The channels of the text encoder's states. */
  textEmbedDim: number;
  /** K, the channels of the image encoder's states. Default: the layer takes no image. */
  imageEmbedDim?: number | null;
  /** The states of a pair of images, which get positions. Default: none. */
  posEmbedSeqLen?: number | null;
}

const optionNames = [
  ...layerOptionNames,
  'dim',
  'timeFreqDim',
  'timeProjDim',
  'textEmbedDim',
  'imageEmbedDim',
  'posEmbedSeqLen',
] as const;

/** What the transformer is conditioned on at one step. */
export interface WanConditionInputs {
  /** [N]. */
  timestep: TensorLike;
  /** `[…, textEmbedDim]`: the text encoder's states. */
  encoderHiddenStates: Tensor;
  /** `[b, s, K]`: the image encoder's states; with `posEmbedSeqLen` pairs of first and last images. */
  encoderHiddenStatesImage?: Tensor | null;
  /** S, if the N timesteps are those of N/S sequences. */
  timestepSeqLen?: number;
}

/** What {@link WanTimeTextImageEmbedding} returns. */
export interface WanConditions {
  /** [N, dim], or [N/S, S, dim]. */
  temb: Tensor;
  /** [N, timeProjDim], or [N/S, S, timeProjDim]. */
  timestepProj: Tensor;
  /** […, dim]. */
  encoderHiddenStates: Tensor;
  /** [b, s, dim], or [b/2, 2s, dim] with positions; null without an image. */
  encoderHiddenStatesImage: Tensor | null;
}

/** The result of an image that was not given. */
const none: Pick<WanConditions, 'encoderHiddenStatesImage'> = { encoderHiddenStatesImage: null };

type WanInputs = [
  conditions: WanConditionInputs,
  options?: ForwardOptions<{ [Name in keyof WanConditions]?: Tensor }>,
];

const results = [
  'temb',
  'timestepProj',
  'encoderHiddenStates',
  'encoderHiddenStatesImage',
] as const;

/**
 * Timesteps, text and image to what Wan's blocks are conditioned on: temb = MLP(sinusoid(t)),
 * timestepProj = time_proj(silu(temb)), the text through an MLP with GELU (tanh form), the image
 * through norm → linear → GELU (erf form) → linear → norm, with eps 1e-5.
 *
 * Weights: `time_embedder.linear_{1,2}`, `time_proj`, `text_embedder.linear_{1,2}`,
 * `image_embedder.{norm1, ff.net.0.proj, ff.net.2, norm2, pos_embed}`. In a layer of half types the
 * time embedder and the norms stay float32 if the state dict has them so (on the first Ascend 910
 * they become float16). Source: `WanTimeTextImageEmbedding` and `WanImageEmbedding` of diffusers.
 *
 * `forward({ timestep, encoderHiddenStates, encoderHiddenStatesImage?, timestepSeqLen? }, options?)`
 * returns {@link WanConditions}; `options.out` takes each of them. It throws ERR_VALUE, ERR_SHAPE and
 * ERR_DTYPE.
 */
export class WanTimeTextImageEmbedding extends Layer<WanInputs, WanConditions> {
  /** @throws LatteError ERR_VALUE, ERR_DTYPE, ERR_DEVICE_UNAVAILABLE. */
  constructor(options: WanTimeTextImageEmbeddingOptions) {
    checkArgumentCount(arguments, 1, 'new WanTimeTextImageEmbedding(options)');
    const given = checkOptions(options, optionNames);
    const optional = (name: 'imageEmbedDim' | 'posEmbedSeqLen'): number =>
      given[name] == null ? 0 : checkInteger(given[name], name);
    super('WanTimeTextImageEmbedding', given, {
      dim: checkInteger(given.dim, 'dim'),
      timeFreqDim: checkInteger(given.timeFreqDim, 'timeFreqDim', undefined, 1, 2 ** 24),
      timeProjDim: checkInteger(given.timeProjDim, 'timeProjDim'),
      textEmbedDim: checkInteger(given.textEmbedDim, 'textEmbedDim'),
      imageEmbedDim: optional('imageEmbedDim'),
      posEmbedSeqLen: optional('posEmbedSeqLen'),
    });
  }

  /** @internal */
  protected override call(given: WanInputs): Call<WanConditions> {
    checkArgumentCount(given, 2, 'forward(conditions, options)');
    const [conditions, options] = given;
    const checked = namedInputs(conditions, {
      timestep: 'numbers',
      encoderHiddenStates: 'tensor',
      encoderHiddenStatesImage: 'tensor?',
      timestepSeqLen: 'length?',
    });
    const hasImage = checked.inputs[2]![1] !== undefined;
    const call = namedResultsCall(checked, options, hasImage ? results : results.slice(0, 3));
    return {
      ...call,
      toResult: (tensors) => ({ ...call.toResult(tensors), ...(hasImage ? {} : none) }),
    };
  }
}
