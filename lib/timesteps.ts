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
  /** Subtracted from embeddingDim/2 in the divisor of the exponent. Default 1. */
  downscaleFreqShift?: number;
  /** Multiplies the timesteps' angles. Default 1. */
  scale?: number;
  /** The longest period. Default 10000. */
  maxPeriod?: number;
}

const optionNames = ['flipSinToCos', 'downscaleFreqShift', 'scale', 'maxPeriod'] as const;

/**
 * Sinusoidal timestep embedding, computed in float32 on the calling thread.
 *
 * The row of a timestep t is [sin(a) | cos(a)] with
 * a_i = scale·t·exp(−ln(maxPeriod)·i/(embeddingDim/2 − downscaleFreqShift)). An odd embeddingDim ends
 * with a column of zeros. Timesteps may be whole, fractional, negative and of any size. Source:
 * `get_timestep_embedding` of diffusers and mindone, after "Denoising Diffusion Probabilistic Models".
 *
 * @param timesteps [N]: a 1-D tensor of any dtype, a typed array or numbers.
 * @param embeddingDim the number of channels.
 * @returns [N, embeddingDim] float32, on the cpu.
 * @throws LatteError ERR_SHAPE for timesteps that are not 1-D; ERR_VALUE.
 * @example
 * ```ts
 * // The sinusoids that Latte's timestep embedder takes.
 * const options = { flipSinToCos: true, downscaleFreqShift: 0 };
 * const sinusoids = getTimestepEmbedding([999, 949.5], 256, options); // [2, 256]
 * ```
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

/**
 * Checks the options of the addon's layer Timesteps, for this function and for the class.
 * @param name the name of the option `channels`, for messages.
 * @internal
 */
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
