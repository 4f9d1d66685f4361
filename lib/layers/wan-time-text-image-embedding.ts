import { checkArgumentCount, checkInteger, checkOptions } from '../options.js';
import type { TensorLike } from '../tensor/tensor-like.js';
import type { Tensor } from '../tensor/tensor.js';
import { namedInputs } from './conditions.js';
import { namedResultsCall, type Call, type ForwardOptions } from './call.js';
import { Layer, layerOptionNames, type LayerOptions } from './layer.js';

/** The options of {@link WanTimeTextImageEmbedding}. */
export interface WanTimeTextImageEmbeddingOptions extends LayerOptions {
  /** The channels of the transformer. */
  dim: number;
  /** The channels of the timesteps' sinusoids. */
  timeFreqDim: number;
  /** The channels of `timestepProj`. */
  timeProjDim: number;
  /** The channels of the text encoder's states. */
  textEmbedDim: number;
  /** K, the channels of the image encoder's states. Default null: the layer takes no image. */
  imageEmbedDim?: number | null;
  /** The states of a first and a last image together, to which positions are added. Default null: none. */
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

/** The inputs of {@link WanTimeTextImageEmbedding}. */
export interface WanConditionInputs {
  /** [N]. */
  timestep: TensorLike;
  /** `[…, textEmbedDim]`: the text encoder's states. */
  encoderHiddenStates: Tensor;
  /** `[b, s, K]`: the image encoder's states. With `posEmbedSeqLen` they are pairs of first and last images. */
  encoderHiddenStatesImage?: Tensor | null;
  /** S: the N timesteps then are those of N/S sequences of S tokens. */
  timestepSeqLen?: number;
}

/** The result of {@link WanTimeTextImageEmbedding}. */
export interface WanConditions {
  /** `[N, dim]`, with `timestepSeqLen` `[N/S, S, dim]`: the embedded timesteps. */
  temb: Tensor;
  /** `[N, timeProjDim]`, with `timestepSeqLen` `[N/S, S, timeProjDim]`: shifts, scales and gates. */
  timestepProj: Tensor;
  /** `[…, dim]`: the projected text. */
  encoderHiddenStates: Tensor;
  /** `[b, s, dim]`, with `posEmbedSeqLen` `[b/2, 2s, dim]`: the projected image; null without one. */
  encoderHiddenStatesImage: Tensor | null;
}

/** Added to the result if no image was given. */
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
 * The conditions of Wan's blocks, of timesteps, text and image.
 *
 * temb = MLP(sinusoids(t)), and timestepProj = time_proj(silu(temb)). The text passes an MLP with GELU
 * (tanh form). The image passes norm → linear → GELU (erf form) → linear → norm, with eps 1e-5.
 *
 * Weights: `time_embedder.linear_{1,2}`, `time_proj`, `text_embedder.linear_{1,2}`,
 * `image_embedder.{norm1, ff.net.0.proj, ff.net.2, norm2, pos_embed}`. If a layer's dtype is float16
 * or bfloat16, float32 weights of the time embedder and the norms stay float32. (On the first Ascend
 * 910 they become float16, because that chip has no other dtype.) Source: `WanTimeTextImageEmbedding`
 * and `WanImageEmbedding` of diffusers.
 *
 * `forward({ timestep, encoderHiddenStates, encoderHiddenStatesImage?, timestepSeqLen? }, options?)`
 * returns {@link WanConditions}; `options.out` may have a tensor for each of them. It throws ERR_VALUE,
 * ERR_SHAPE and ERR_DTYPE.
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
