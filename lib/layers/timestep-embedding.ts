import { LatteError, show } from '../errors.js';
import {
  checkArgumentCount,
  checkBoolean,
  checkInteger,
  checkOptions,
  isOptions,
} from '../options.js';
import type { Tensor } from '../tensor/tensor.js';
import {
  checkTensor,
  Layer,
  layerOptionNames,
  singleResultCall,
  type Call,
  type ForwardOptions,
  type LayerOptions,
} from './layer.js';

export interface TimestepEmbeddingOptions extends LayerOptions {
  /** The channels of the sample. */
  inChannels: number;
  /** The channels between the two linears. */
  timeEmbedDim: number;
  /** 'silu' (the default), 'swish', 'gelu' (the exact, erf form), 'relu' or 'mish'. */
  actFn?: string;
  /** The channels of the result. Default timeEmbedDim. */
  outDim?: number;
  /** Applied to the result. Default none. */
  postActFn?: string | null;
  /** The channels of a condition, which is projected and added to the sample. Default none. */
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
 * linear_1 → activation → linear_2 (→ post activation); a condition goes through a bias-free
 * `cond_proj` and is added to the sample first.
 *
 * Weights: `linear_1.{weight [timeEmbedDim, inChannels], bias}`,
 * `linear_2.{weight [outDim, timeEmbedDim], bias}`, `cond_proj.weight [inChannels, condProjDim]`.
 * Source: `TimestepEmbedding` of diffusers and mindone.
 *
 * `forward(sample, condition?, options?)`, or `forward(sample, options?)`, takes a sample
 * […, inChannels] and a condition […, condProjDim] with the same leading axes, of any floating dtypes.
 * It returns […, outDim]. It throws ERR_SHAPE, ERR_DTYPE, and ERR_VALUE for a condition that the layer
 * has no `cond_proj` for.
 */
export class TimestepEmbedding extends Layer<TimestepEmbeddingInputs, Tensor> {
  /** @throws LatteError ERR_VALUE ("Unsupported activation function: …" among them), ERR_DTYPE. */
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
    // The options may stand in the place of the condition.
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
