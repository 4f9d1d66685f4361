import { checkArgumentCount, checkInteger, checkOptions } from '../options.js';
import type { TensorLike } from '../tensor/tensor-like.js';
import type { Tensor } from '../tensor/tensor.js';
import { namedInputs } from './conditions.js';
import {
  Layer,
  layerOptionNames,
  singleResultCall,
  type Call,
  type ForwardOptions,
  type LayerOptions,
} from './layer.js';

export interface CombinedTimestepTextProjEmbeddingsOptions extends LayerOptions {
  /** The channels of the result. */
  embeddingDim: number;
  /** The channels of the pooled text. */
  pooledProjectionDim: number;
}

const optionNames = [...layerOptionNames, 'embeddingDim', 'pooledProjectionDim'] as const;

/** What the transformer is conditioned on at one step; an input of one row serves all rows. */
export interface TimestepTextInputs {
  /** [N]. */
  timestep: TensorLike;
  /** [N, pooledProjectionDim]. */
  pooledProjection: Tensor;
}

/** {@link TimestepTextInputs} with a guidance scale. */
export interface TimestepGuidanceTextInputs extends TimestepTextInputs {
  /** [N], scaled as the model's pipeline does it. */
  guidance: TensorLike;
}

/** The options of both layers, checked. */
function checked(options: CombinedTimestepTextProjEmbeddingsOptions): {
  given: LayerOptions;
  config: Record<string, unknown>;
} {
  const given = checkOptions(options, optionNames);
  return {
    given,
    config: {
      embeddingDim: checkInteger(given.embeddingDim, 'embeddingDim'),
      pooledProjectionDim: checkInteger(given.pooledProjectionDim, 'pooledProjectionDim'),
    },
  };
}

type TextInputs = [conditions: TimestepTextInputs, options?: ForwardOptions];

/**
 * The sum of a timestep's embedding and a pooled text's: MLP(sinusoid(t)) + MLP(text).
 *
 * Weights: `timestep_embedder.…` (256 → D → D) and `text_embedder.…` (P → D → D), each `linear_1` and
 * `linear_2` with SiLU between them. Source: `CombinedTimestepTextProjEmbeddings` of diffusers.
 *
 * `forward({ timestep, pooledProjection }, options?)` returns [N, embeddingDim]. It throws ERR_VALUE,
 * ERR_SHAPE and ERR_DTYPE.
 */
export class CombinedTimestepTextProjEmbeddings extends Layer<TextInputs, Tensor> {
  /** @throws LatteError ERR_VALUE, ERR_DTYPE, ERR_DEVICE_UNAVAILABLE. */
  constructor(options: CombinedTimestepTextProjEmbeddingsOptions) {
    checkArgumentCount(arguments, 1, 'new CombinedTimestepTextProjEmbeddings(options)');
    const { given, config } = checked(options);
    super('CombinedTimestepTextProjEmbeddings', given, config);
  }

  /** @internal */
  protected override call(given: TextInputs): Call<Tensor> {
    checkArgumentCount(given, 2, 'forward(conditions, options)');
    const [conditions, options] = given;
    const { inputs } = namedInputs(conditions, { timestep: 'numbers', pooledProjection: 'tensor' });
    return singleResultCall(inputs, options);
  }
}

type GuidanceInputs = [conditions: TimestepGuidanceTextInputs, options?: ForwardOptions];

/**
 * {@link CombinedTimestepTextProjEmbeddings} with the embedding of a guidance scale in the sum.
 *
 * Weights: as there, and `guidance_embedder.…` (256 → D → D). Source:
 * `CombinedTimestepGuidanceTextProjEmbeddings` of diffusers.
 *
 * `forward({ timestep, guidance, pooledProjection }, options?)` returns [N, embeddingDim]. It throws
 * ERR_VALUE, also if the guidance is missing, ERR_SHAPE and ERR_DTYPE.
 */
export class CombinedTimestepGuidanceTextProjEmbeddings extends Layer<GuidanceInputs, Tensor> {
  /** @throws LatteError ERR_VALUE, ERR_DTYPE, ERR_DEVICE_UNAVAILABLE. */
  constructor(options: CombinedTimestepTextProjEmbeddingsOptions) {
    checkArgumentCount(arguments, 1, 'new CombinedTimestepGuidanceTextProjEmbeddings(options)');
    const { given, config } = checked(options);
    super('CombinedTimestepGuidanceTextProjEmbeddings', given, config);
  }

  /** @internal */
  protected override call(given: GuidanceInputs): Call<Tensor> {
    checkArgumentCount(given, 2, 'forward(conditions, options)');
    const [conditions, options] = given;
    const { inputs } = namedInputs(conditions, {
      timestep: 'numbers',
      pooledProjection: 'tensor',
      guidance: 'numbers',
    });
    return singleResultCall(inputs, options);
  }
}
