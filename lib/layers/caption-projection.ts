import { checkInteger, checkOptions } from '../options.js';
import type { Tensor } from '../tensor.js';
import {
  callOf,
  checkTensor,
  Layer,
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
    const given: Partial<CaptionProjectionOptions> = checkOptions(options);
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
   * @param _forceDropIds accepted for the reference's sake; has no effect.
   * @returns […, hiddenSize].
   * @throws LatteError ERR_SHAPE, ERR_DTYPE, ERR_STATE, ERR_DISPOSED, ERR_ABORTED.
   */
  async forward(
    caption: Tensor,
    _forceDropIds?: unknown,
    options?: ForwardOptions,
  ): Promise<Tensor> {
    return (await this.run(this.#call(caption, options)))[0]!;
  }

  /** {@link forward} on the calling thread. */
  forwardSync(caption: Tensor, _forceDropIds?: unknown, options?: ForwardOptions): Tensor {
    return this.runSync(this.#call(caption, options))[0]!;
  }

  #call(caption: Tensor, options: ForwardOptions | undefined): Call {
    return callOf([['caption', checkTensor(caption, 'caption')]], options);
  }
}
