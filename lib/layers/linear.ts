import { checkArgumentCount, checkBoolean, checkInteger, checkOptions } from '../options.js';
import type { Tensor } from '../tensor/tensor.js';
import {
  Layer,
  layerOptionNames,
  tensorCall,
  type Call,
  type ForwardOptions,
  type LayerOptions,
} from './layer.js';

export interface LinearOptions extends LayerOptions {
  inFeatures: number;
  outFeatures: number;
  /** Default true. */
  bias?: boolean;
}

type LinearInputs = [input: Tensor, options?: ForwardOptions];

/**
 * x·Wᵀ + b over the last axis.
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
