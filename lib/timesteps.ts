import { native, type NativeLayer } from './native.js';
import { checkBoolean, checkInteger, checkNumber, checkOptions, checkPositive } from './options.js';
import { asTensor, nativeTensor, wrapTensor, type Tensor, type TensorLike } from './tensor.js';

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
  const layer = nativeTimesteps(embeddingDim, 'embeddingDim', checkOptions(options), 'cpu');
  const tensor = asTensor(timesteps, 'timesteps');
  const [result] = layer.forwardSync([nativeTensor(tensor, 'timesteps')], [], undefined);
  return wrapTensor(result!);
}

/** The addon's timestep projection; shared with the Timesteps layer. @internal */
export function nativeTimesteps(
  channels: unknown,
  name: string,
  options: GetTimestepEmbeddingOptions,
  device: string,
): NativeLayer {
  const numChannels = checkInteger(channels, name, undefined, 1, 2 ** 24);
  const maxPeriod = checkPositive(options.maxPeriod, 'maxPeriod', 10000);
  return new native.Layer(
    'Timesteps',
    {
      numChannels,
      flipSinToCos: checkBoolean(options.flipSinToCos, 'flipSinToCos', false),
      downscaleFreqShift: checkNumber(options.downscaleFreqShift, 'downscaleFreqShift', 1),
      scale: checkNumber(options.scale, 'scale', 1),
      maxPeriod,
    },
    device,
    'float32',
  );
}
