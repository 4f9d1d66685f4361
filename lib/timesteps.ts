import { handleList, native } from './native.js';
import {
  checkArgumentCount,
  checkBoolean,
  checkInteger,
  checkNumber,
  checkOptions,
  checkPositive,
} from './options.js';
import { asTensor, type TensorLike } from './tensor/tensor-like.js';
import { handleToReadNow } from './tensor/state.js';
import { resultNow, stateOf, type Tensor } from './tensor/tensor.js';

export interface GetTimestepEmbeddingOptions {
  /** [cos | sin] instead of [sin | cos]. Default false. */
  flipSinToCos?: boolean;
  /** Subtracted from half the dimension in the exponent's divisor. Default 1. */
  downscaleFreqShift?: number;
  /** Factor of the arguments. Default 1. */
  scale?: number;
  /** The longest period. Default 10000. */
  maxPeriod?: number;
}

const optionNames = ['flipSinToCos', 'downscaleFreqShift', 'scale', 'maxPeriod'] as const;

/**
 * Sinusoidal timestep embedding, in float32 throughout.
 *
 * [sin(a) | cos(a)] with a_i = scale·t·exp(−ln(maxPeriod)·i/(embeddingDim/2 − downscaleFreqShift));
 * an odd dimension ends in a zero column. Any timestep is legal: whole, fractional, negative, huge.
 * Source: `get_timestep_embedding` of diffusers and mindone, after "Denoising Diffusion
 * Probabilistic Models".
 *
 * @param timesteps [N]: a 1-D tensor of any dtype, a typed array or numbers.
 * @param embeddingDim the number of channels.
 * @returns [N, embeddingDim] float32.
 * @throws LatteError ERR_SHAPE for timesteps that are not 1-D; ERR_VALUE.
 */
export function getTimestepEmbedding(
  timesteps: TensorLike,
  embeddingDim: number,
  options?: GetTimestepEmbeddingOptions,
): Tensor {
  checkArgumentCount(arguments, 3, 'getTimestepEmbedding(timesteps, embeddingDim, options)');
  const given = checkOptions(options, optionNames);
  const config = timestepsConfig(embeddingDim, 'embeddingDim', given);
  const layer = native.createLayer('Timesteps', config, 'cpu', 'float32');
  const tensor = asTensor(timesteps, 'timesteps');
  const inputs = handleList(1);
  inputs[0] = handleToReadNow(stateOf(tensor), 'timesteps');
  return resultNow((results) => native.forwardSync(layer, inputs, results, undefined));
}

/** The checked options of the addon's Timesteps; shared with the layer. @internal */
export function timestepsConfig(
  channels: unknown,
  name: string,
  options: GetTimestepEmbeddingOptions,
): Record<string, unknown> {
  return {
    numChannels: checkInteger(channels, name, undefined, 1, 2 ** 24),
    flipSinToCos: checkBoolean(options.flipSinToCos, 'flipSinToCos', false),
    downscaleFreqShift: checkNumber(options.downscaleFreqShift, 'downscaleFreqShift', 1),
    scale: checkNumber(options.scale, 'scale', 1),
    maxPeriod: checkPositive(options.maxPeriod, 'maxPeriod', 10000),
  };
}
