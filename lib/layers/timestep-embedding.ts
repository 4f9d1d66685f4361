import { LatteError, show } from '../errors.js';
import {
  checkArgumentCount,
  checkBoolean,
  checkInteger,
  checkOptions,
  isOptions,
} from '../options.js';
import type { Tensor } from '../tensor.js';
import {
  callOf,
  checkTensor,
  Layer,
  layerOptionNames,
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

/**
 * linear_1 → activation → linear_2 (→ post activation); a condition goes through a bias-free
 * `cond_proj` and is added to the sample first.
 *
 * Weights: `linear_1.{weight [timeEmbedDim, inChannels], bias}`,
 * `linear_2.{weight [outDim, timeEmbedDim], bias}`, `cond_proj.weight [inChannels, condProjDim]`.
 * Source: `TimestepEmbedding` of diffusers and mindone.
 */
export class TimestepEmbedding extends Layer {
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

  /**
   * @param sample […, inChannels] of any floating dtype.
   * @param condition […, condProjDim], with the sample's leading axes. Where it is left out, the
   *   options may stand in its place.
   * @returns […, outDim].
   * @throws LatteError ERR_SHAPE, ERR_DTYPE, ERR_VALUE for a condition that the layer cannot take,
   *   ERR_STATE, ERR_DISPOSED, ERR_ABORTED.
   */
  forward(sample: Tensor, options?: ForwardOptions): Promise<Tensor>;
  forward(sample: Tensor, condition?: Tensor | null, options?: ForwardOptions): Promise<Tensor>;
  async forward(
    sample: Tensor,
    condition?: Tensor | ForwardOptions | null,
    options?: ForwardOptions,
  ): Promise<Tensor> {
    return (await this.run(this.#call(sample, condition, options, arguments)))[0]!;
  }

  /** {@link forward} on the calling thread, which waits for the device if that is an NPU. */
  forwardSync(sample: Tensor, options?: ForwardOptions): Tensor;
  forwardSync(sample: Tensor, condition?: Tensor | null, options?: ForwardOptions): Tensor;
  forwardSync(
    sample: Tensor,
    condition?: Tensor | ForwardOptions | null,
    options?: ForwardOptions,
  ): Tensor {
    return this.runSync(this.#call(sample, condition, options, arguments))[0]!;
  }

  #call(
    sample: Tensor,
    condition: Tensor | ForwardOptions | null | undefined,
    options: ForwardOptions | undefined,
    given: IArguments,
  ): Call {
    checkArgumentCount(given, 3, 'forward(sample, condition, options)');
    const tensor = checkTensor(sample, 'sample');
    if (options === undefined && isOptions(condition)) {
      return callOf(
        [
          ['sample', tensor],
          ['condition', undefined],
        ],
        condition as ForwardOptions,
      );
    }
    const extra = condition == null ? undefined : checkTensor(condition, 'condition');
    return callOf(
      [
        ['sample', tensor],
        ['condition', extra],
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
