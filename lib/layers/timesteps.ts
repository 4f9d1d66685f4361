import { checkArgumentCount, checkOptions } from '../options.js';
import { asTensor, type TensorLike } from '../tensor/tensor-like.js';
import type { Tensor } from '../tensor/tensor.js';
import { timestepsConfig } from '../timesteps.js';
import { singleResultCall, type Call, type ForwardOptions } from './call.js';
import { Layer } from './layer.js';

/** The options of {@link Timesteps}. */
export interface TimestepsOptions {
  /** The channels of the result. */
  numChannels: number;
  /** [cos | sin] instead of [sin | cos]. */
  flipSinToCos: boolean;
  /** Subtracted from numChannels/2 in the divisor of the exponent. */
  downscaleFreqShift: number;
  /** Multiplies the timesteps' angles. Default 1. */
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

type TimestepsInputs = [timesteps: TensorLike, options?: ForwardOptions];

/**
 * The sinusoidal timestep embedding of `getTimestepEmbedding` as a layer: it has no weights, runs on
 * any device, and its dtype is always float32. Source: `Timesteps` of diffusers and mindone.
 *
 * `forward(timesteps, options?)` takes timesteps [N]: a 1-D tensor of any dtype, a typed array or
 * numbers. It returns [N, numChannels] float32. It throws ERR_SHAPE and ERR_VALUE.
 */
export class Timesteps extends Layer<TimestepsInputs, Tensor> {
  /** @throws LatteError ERR_VALUE, ERR_DEVICE_UNAVAILABLE. */
  constructor(options: TimestepsOptions) {
    checkArgumentCount(arguments, 1, 'new Timesteps(options)');
    const given = checkOptions(options, optionNames);
    const { device, flipSinToCos = true, downscaleFreqShift = 0, scale } = given;
    const sinusoid = { flipSinToCos, downscaleFreqShift, scale };
    super('Timesteps', { device }, timestepsConfig(given.numChannels, 'numChannels', sinusoid));
  }

  /** @internal */
  protected override call(inputs: TimestepsInputs): Call<Tensor> {
    checkArgumentCount(inputs, 2, 'forward(timesteps, options)');
    const [timesteps, options] = inputs;
    return singleResultCall([['timesteps', asTensor(timesteps, 'timesteps')]], options);
  }
}
