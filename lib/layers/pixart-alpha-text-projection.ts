import { LatteError, show } from '../errors.js';
import { checkArgumentCount, checkInteger, checkOptions } from '../options.js';
import type { Tensor } from '../tensor/tensor.js';
import { tensorCall, type Call, type ForwardOptions } from './call.js';
import { Layer, layerOptionNames, type LayerOptions } from './layer.js';

/** The options of {@link PixArtAlphaTextProjection}. */
export interface PixArtAlphaTextProjectionOptions extends LayerOptions {
  /** The channels of the text encoder's states. */
  inFeatures: number;
  /** The channels between the two linears. */
  hiddenSize: number;
  /** The channels of the result. Default hiddenSize. */
  outFeatures?: number | null;
  /**
   * The activation between the two linears. Default 'gelu_tanh'. 'silu_fp32' equals 'silu', because
   * this package computes each activation in float32.
   */
  actFn?: 'gelu_tanh' | 'silu' | 'silu_fp32';
}

const optionNames = [
  ...layerOptionNames,
  'inFeatures',
  'hiddenSize',
  'outFeatures',
  'actFn',
] as const;

type PixArtAlphaTextProjectionInputs = [caption: Tensor, options?: ForwardOptions];

/**
 * Projects a text's states to the transformer's channels: linear_1 → activation → linear_2, over the
 * last axis.
 *
 * Weights: `linear_1.{weight [hiddenSize, inFeatures], bias}`, `linear_2.{weight [outFeatures,
 * hiddenSize], bias}`. Source: `PixArtAlphaTextProjection` of diffusers.
 *
 * `forward(caption, options?)` takes […, inFeatures] of any floating dtype and returns
 * […, outFeatures]. It throws ERR_VALUE, ERR_SHAPE and ERR_DTYPE.
 */
export class PixArtAlphaTextProjection extends Layer<PixArtAlphaTextProjectionInputs, Tensor> {
  /** @throws LatteError ERR_VALUE ("Unknown activation function: …"), ERR_DTYPE, ERR_DEVICE_UNAVAILABLE. */
  constructor(options: PixArtAlphaTextProjectionOptions) {
    checkArgumentCount(arguments, 1, 'new PixArtAlphaTextProjection(options)');
    const given = checkOptions(options, optionNames);
    const hiddenSize = checkInteger(given.hiddenSize, 'hiddenSize');
    super('PixArtAlphaTextProjection', given, {
      inFeatures: checkInteger(given.inFeatures, 'inFeatures'),
      hiddenSize,
      outFeatures: checkInteger(given.outFeatures ?? undefined, 'outFeatures', hiddenSize),
      actFn: activation(given.actFn ?? 'gelu_tanh'),
    });
  }

  /** @internal */
  protected override call(given: PixArtAlphaTextProjectionInputs): Call<Tensor> {
    return tensorCall(given, ['caption']);
  }
}

/** The names that the reference knows; the addon knows these and others. */
const activations: readonly unknown[] = ['gelu_tanh', 'silu', 'silu_fp32'];

function activation(name: unknown): unknown {
  if (activations.includes(name)) return name;
  const text = typeof name === 'string' ? name.slice(0, 60) : show(name);
  throw new LatteError(
    'ERR_VALUE',
    `Unknown activation function: ${text} (actFn must be one of ${activations.join(', ')})`,
  );
}
