import { LatteError, show, isArray, typedArrayKind } from '../errors.js';
import { checkArgumentCount, checkInteger, checkOptions } from '../options.js';
import { isTensor, type Tensor, type TensorLike } from '../tensor.js';
import {
  callOf,
  checkTensor,
  Layer,
  layerOptionNames,
  type Call,
  type ForwardOptions,
  type LayerOptions,
} from './layer.js';

export interface CaptionProjectionOptions extends LayerOptions {
  /** The channels of the text encoder's states. */
  inFeatures: number;
  /** The channels of the transformer. */
  hiddenSize: number;
  /** Accepted for the reference's sake; has no effect. Default 120. */
  numTokens?: number;
}

const optionNames = [...layerOptionNames, 'inFeatures', 'hiddenSize', 'numTokens'] as const;

/** What the reference takes for `force_drop_ids`. */
export type ForceDropIds = TensorLike | boolean | number | null;

/**
 * linear_1 → GELU (tanh form) → linear_2 over the last axis of a caption's token states.
 *
 * Weights: `linear_1.{weight [hiddenSize, inFeatures], bias}`, `linear_2.{weight [hiddenSize,
 * hiddenSize], bias}`; a `y_embedding` is ignored. Source: `PixArtAlphaTextProjection` of
 * diffusers, `CaptionProjection` of mindone.
 */
export class CaptionProjection extends Layer {
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

  /**
   * @param caption […, inFeatures] of any floating dtype, any leading axes.
   * @param forceDropIds accepted for the reference's sake; has no effect. Where it is left out, the
   *   options may stand in its place.
   * @returns […, hiddenSize].
   * @throws LatteError ERR_SHAPE, ERR_DTYPE, ERR_VALUE, ERR_STATE, ERR_DISPOSED, ERR_ABORTED.
   */
  forward(caption: Tensor, options?: ForwardOptions): Promise<Tensor>;
  forward(caption: Tensor, forceDropIds?: ForceDropIds, options?: ForwardOptions): Promise<Tensor>;
  async forward(
    caption: Tensor,
    forceDropIds?: ForceDropIds | ForwardOptions,
    options?: ForwardOptions,
  ): Promise<Tensor> {
    return (await this.run(this.#call(caption, forceDropIds, options, arguments)))[0]!;
  }

  /** {@link forward} on the calling thread, which waits for the device if that is an NPU. */
  forwardSync(caption: Tensor, options?: ForwardOptions): Tensor;
  forwardSync(caption: Tensor, forceDropIds?: ForceDropIds, options?: ForwardOptions): Tensor;
  forwardSync(
    caption: Tensor,
    forceDropIds?: ForceDropIds | ForwardOptions,
    options?: ForwardOptions,
  ): Tensor {
    return this.runSync(this.#call(caption, forceDropIds, options, arguments))[0]!;
  }

  #call(
    caption: Tensor,
    forceDropIds: ForceDropIds | ForwardOptions | undefined,
    options: ForwardOptions | undefined,
    given: IArguments,
  ): Call {
    checkArgumentCount(given, 3, 'forward(caption, forceDropIds, options)');
    const inputs: Call['inputs'] = [['caption', checkTensor(caption, 'caption')]];
    if (isForceDropIds(forceDropIds)) return callOf(inputs, options);
    if (options === undefined) return callOf(inputs, forceDropIds);
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
