import { LatteError, show } from '../errors.js';
import {
  checkArgumentCount,
  checkBoolean,
  checkInteger,
  checkOptions,
  isOptions,
} from '../options.js';
import type { Tensor } from '../tensor/tensor.js';
import { checkTensor, singleResultCall, type Call, type ForwardOptions } from './call.js';
import { Layer, layerOptionNames, type LayerOptions } from './layer.js';

/** The options of {@link TimestepEmbedding}. */
export interface TimestepEmbeddingOptions extends LayerOptions {
  /** The channels of the sample. */
  inChannels: number;
  /** The channels between the two linears. */
  timeEmbedDim: number;
  /** The activation: 'silu' (the default), 'swish', 'gelu' (erf form), 'relu' or 'mish'. */
  actFn?: string;
  /** The channels of the result. Default timeEmbedDim. */
  outDim?: number;
  /** An activation that is applied to the result. Default null: none. */
  postActFn?: string | null;
  /** The channels of the condition. Default null: the layer takes no condition. */
  condProjDim?: number | null;
  /** Whether the two linears have biases. Default true. */
  sampleProjBias?: boolean;
}

const optionNames = [
  ...layerOptionNames,
  'inChannels',
  'timeEmbedDim',
  'actFn',
  'outDim',
  'postActFn',
  'condProjDim',
  'sampleProjBias',
] as const;

type TimestepEmbeddingInputs = [
  sample: Tensor,
  condition?: Tensor | ForwardOptions | null,
  options?: ForwardOptions,
];

/**
 * An MLP over the last axis: linear_1 → activation → linear_2, then optionally another activation. A
 * condition is projected by `cond_proj`, which has no bias, and added to the sample first.
 *
 * Weights: `linear_1.{weight [timeEmbedDim, inChannels], bias}`,
 * `linear_2.{weight [outDim, timeEmbedDim], bias}`, `cond_proj.weight [inChannels, condProjDim]`.
 * Source: `TimestepEmbedding` of diffusers and mindone.
 *
 * `forward(sample, condition?, options?)`, or `forward(sample, options?)`, takes a sample
 * […, inChannels] and a condition […, condProjDim] with the same leading axes, of any floating dtypes.
 * It returns […, outDim]. It throws ERR_SHAPE and ERR_DTYPE, and ERR_VALUE for a condition if the layer
 * has no `condProjDim`.
 * @example
 * ```ts
 * const sinusoids = new Timesteps({ numChannels: 256, flipSinToCos: true, downscaleFreqShift: 0 });
 * const embedding = new TimestepEmbedding({ inChannels: 256, timeEmbedDim: 1152 });
 * embedding.loadStateDict(weights);
 * const embedded = await embedding.forward(await sinusoids.forward([999])); // [1, 1152]
 * ```
 */
export class TimestepEmbedding extends Layer<TimestepEmbeddingInputs, Tensor> {
  /** @throws LatteError ERR_VALUE ("Unsupported activation function: …"), ERR_DTYPE, ERR_DEVICE_UNAVAILABLE. */
  constructor(options: TimestepEmbeddingOptions) {
    checkArgumentCount(arguments, 1, 'new TimestepEmbedding(options)');
    const given = checkOptions(options, optionNames);
    const timeEmbedDim = checkInteger(given.timeEmbedDim, 'timeEmbedDim');
    super('TimestepEmbedding', given, {
      inChannels: checkInteger(given.inChannels, 'inChannels'),
      timeEmbedDim,
      outDim: checkInteger(given.outDim ?? undefined, 'outDim', timeEmbedDim),
      condProjDim: given.condProjDim == null ? 0 : checkInteger(given.condProjDim, 'condProjDim'),
      actFn: activation(given.actFn ?? 'silu', 'actFn'),
      postActFn: given.postActFn == null ? '' : activation(given.postActFn, 'postActFn'),
      sampleProjBias: checkBoolean(given.sampleProjBias, 'sampleProjBias', true),
    });
  }

  /** @internal */
  protected override call(inputs: TimestepEmbeddingInputs): Call<Tensor> {
    checkArgumentCount(inputs, 3, 'forward(sample, condition, options)');
    const [sample, second, third] = inputs;
    const tensor = checkTensor(sample, 'sample');
    // If the condition is left out, the options may be the second argument.
    const [condition, options] =
      third === undefined && isOptions(second)
        ? [undefined, second as ForwardOptions]
        : [second, third];
    return singleResultCall(
      [
        ['sample', tensor],
        ['condition', condition == null ? undefined : checkTensor(condition, 'condition')],
      ],
      options,
    );
  }
}

/** The names that the reference knows; the addon knows these and others. */
const activations = ['silu', 'swish', 'gelu', 'relu', 'mish'];

function activation(name: unknown, option: string): string {
  if (typeof name !== 'string') {
    throw new LatteError(
      'ERR_VALUE',
      `${option} must be the name of an activation, but is ${show(name)}`,
    );
  }
  const lower = name.toLowerCase();
  if (!activations.includes(lower)) {
    throw new LatteError(
      'ERR_VALUE',
      `Unsupported activation function: ${lower.slice(0, 60)} (${option} must be one of ${activations.join(', ')})`,
    );
  }
  return lower;
}
