import { checkArgumentCount, checkOptions } from '../options.js';
import { asTensor, type Tensor, type TensorLike } from '../tensor.js';
import { timestepsConfig } from '../timesteps.js';
import { callOf, Layer, type Call, type ForwardOptions } from './layer.js';

export interface TimestepsOptions {
  /** The number of channels. */
  numChannels: number;
  /** [cos | sin] instead of [sin | cos]. */
  flipSinToCos: boolean;
  /** Subtracted from half the channels in the exponent's divisor. */
  downscaleFreqShift: number;
  /** Factor of the arguments. Default 1. */
  scale?: number;
  /** 'auto' (the default), 'cpu', 'npu' or 'npu:0' … */
  device?: string;
}

const optionNames = [
  'numChannels',
  'flipSinToCos',
  'downscaleFreqShift',
  'scale',
  'device',
] as const;

/**
 * The sinusoidal timestep projection as a layer without weights; see `getTimestepEmbedding`.
 * Its dtype is always float32. Source: `Timesteps` of diffusers and mindone.
 */
export class Timesteps extends Layer {
  /** @throws LatteError ERR_VALUE, ERR_DEVICE_UNAVAILABLE. */
  constructor(options: TimestepsOptions) {
    checkArgumentCount(arguments, 1, 'new Timesteps(options)');
    const given = checkOptions(options, optionNames);
    const { device, flipSinToCos = true, downscaleFreqShift = 0, scale } = given;
    const sinusoid = { flipSinToCos, downscaleFreqShift, scale };
    super('Timesteps', { device }, timestepsConfig(given.numChannels, 'numChannels', sinusoid));
  }

  /**
   * @param timesteps [N]: a 1-D tensor of any dtype, a typed array or numbers.
   * @returns [N, numChannels] float32.
   * @throws LatteError ERR_SHAPE, ERR_DISPOSED, ERR_ABORTED.
   */
  async forward(timesteps: TensorLike, options?: ForwardOptions): Promise<Tensor> {
    return (await this.run(this.#call(timesteps, options, arguments)))[0]!;
  }

  /** {@link forward} on the calling thread, which waits for the device if that is an NPU. */
  forwardSync(timesteps: TensorLike, options?: ForwardOptions): Tensor {
    return this.runSync(this.#call(timesteps, options, arguments))[0]!;
  }

  #call(timesteps: TensorLike, options: ForwardOptions | undefined, given: IArguments): Call {
    checkArgumentCount(given, 2, 'forward(timesteps, options)');
    return callOf([['timesteps', asTensor(timesteps, 'timesteps')]], options);
  }
}
