import { checkArgumentCount, checkBoolean, checkInteger, checkOptions } from '../options.js';
import type { Tensor } from '../tensor/tensor.js';
import { tensorCall, type Call, type ForwardOptions } from './call.js';
import { Layer, layerOptionNames, type LayerOptions } from './layer.js';

/** The options of {@link Linear}. */
export interface LinearOptions extends LayerOptions {
  /** The channels of the input. */
  inFeatures: number;
  /** The channels of the result. */
  outFeatures: number;
  /** Whether a bias is added. Default true. */
  bias?: boolean;
}

type LinearInputs = [input: Tensor, options?: ForwardOptions];

/**
 * A linear layer, x·Wᵀ + b over the last axis. Models use one, for example, as the embedder of latents
 * that come as patches (Flux) or of text states.
 *
 * Weights: `weight` [outFeatures, inFeatures], `bias` [outFeatures]. Source: `torch.nn.Linear`.
 *
 * `forward(input, options?)` takes […, inFeatures] of any floating dtype and returns
 * […, outFeatures]. It throws ERR_VALUE, ERR_SHAPE and ERR_DTYPE.
 */
export class Linear extends Layer<LinearInputs, Tensor> {
  /** @throws LatteError ERR_VALUE, ERR_DTYPE, ERR_DEVICE_UNAVAILABLE. */
  constructor(options: LinearOptions) {
    checkArgumentCount(arguments, 1, 'new Linear(options)');
    const given = checkOptions(options, [...layerOptionNames, 'inFeatures', 'outFeatures', 'bias']);
    super('Linear', given, {
      inFeatures: checkInteger(given.inFeatures, 'inFeatures'),
      outFeatures: checkInteger(given.outFeatures, 'outFeatures'),
      bias: checkBoolean(given.bias, 'bias', true),
    });
  }

  /** @internal */
  protected override call(given: LinearInputs): Call<Tensor> {
    return tensorCall(given, ['input']);
  }
}
