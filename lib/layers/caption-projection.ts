import { LatteError, show, isArray, typedArrayKind } from '../errors.js';
import { checkArgumentCount, checkInteger, checkOptions } from '../options.js';
import type { TensorLike } from '../tensor/tensor-like.js';
import { isTensor, type Tensor } from '../tensor/tensor.js';
import { checkTensor, singleResultCall, type Call, type ForwardOptions } from './call.js';
import { Layer, layerOptionNames, type LayerOptions } from './layer.js';

/** The options of {@link CaptionProjection}. */
export interface CaptionProjectionOptions extends LayerOptions {
  /** The channels of the text encoder's states. */
  inFeatures: number;
  /** The channels of the transformer. */
  hiddenSize: number;
  /** The reference has this option; it has no effect. Default 120. */
  numTokens?: number;
}

const optionNames = [...layerOptionNames, 'inFeatures', 'hiddenSize', 'numTokens'] as const;

/** The values that the reference accepts for `force_drop_ids`. */
export type ForceDropIds = TensorLike | boolean | number | null;

type CaptionProjectionInputs = [
  caption: Tensor,
  forceDropIds?: ForceDropIds | ForwardOptions,
  options?: ForwardOptions,
];

/**
 * Projects a caption's token states to the transformer's channels: linear_1 → GELU (tanh form) →
 * linear_2, over the last axis.
 *
 * Weights: `linear_1.{weight [hiddenSize, inFeatures], bias}`, `linear_2.{weight [hiddenSize,
 * hiddenSize], bias}`; a `y_embedding` is ignored. Source: `PixArtAlphaTextProjection` of
 * diffusers, `CaptionProjection` of mindone.
 *
 * `forward(caption, forceDropIds?, options?)`, or `forward(caption, options?)`, takes a caption
 * […, inFeatures] of any floating dtype, with any leading axes. It returns […, hiddenSize].
 * `forceDropIds` has no effect, because the reference drops captions only in training. `forward`
 * throws ERR_SHAPE, ERR_DTYPE and ERR_VALUE.
 * @example
 * ```ts
 * const layer = new CaptionProjection({ inFeatures: 4096, hiddenSize: 1152 });
 * layer.loadStateDict(weights);
 * const states = await layer.forward(caption); // [2, 120, 4096] → [2, 120, 1152]
 * ```
 */
export class CaptionProjection extends Layer<CaptionProjectionInputs, Tensor> {
  /** @throws LatteError ERR_VALUE, ERR_DTYPE, ERR_DEVICE_UNAVAILABLE. */
  constructor(options: CaptionProjectionOptions) {
    checkArgumentCount(arguments, 1, 'new CaptionProjection(options)');
    const given = checkOptions(options, optionNames);
    checkInteger(given.numTokens, 'numTokens', 120, 0);
    super('CaptionProjection', given, {
      inFeatures: checkInteger(given.inFeatures, 'inFeatures'),
      hiddenSize: checkInteger(given.hiddenSize, 'hiddenSize'),
    });
  }

  /** @internal */
  protected override get ignoredNames(): readonly string[] {
    return ['y_embedding'];
  }

  /** @internal */
  protected override call(given: CaptionProjectionInputs): Call<Tensor> {
    checkArgumentCount(given, 3, 'forward(caption, forceDropIds, options)');
    const [caption, forceDropIds, options] = given;
    const inputs: Call<Tensor>['inputs'] = [['caption', checkTensor(caption, 'caption')]];
    if (isForceDropIds(forceDropIds)) return singleResultCall(inputs, options);
    if (options === undefined) return singleResultCall(inputs, forceDropIds);
    throw new LatteError(
      'ERR_VALUE',
      `forceDropIds must be numbers, but is ${show(forceDropIds)}; options are the last argument`,
    );
  }
}

function isForceDropIds(value: unknown): value is ForceDropIds | undefined {
  return (
    value == null ||
    typeof value === 'boolean' ||
    typeof value === 'number' ||
    isTensor(value) ||
    isArray(value) ||
    typedArrayKind(value) !== undefined
  );
}
