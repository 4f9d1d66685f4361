import { checkArgumentCount, checkInteger, checkOptions } from '../options.js';
import type { TensorLike } from '../tensor/tensor-like.js';
import type { Tensor } from '../tensor/tensor.js';
import { namedInputs } from './conditions.js';
import { singleResultCall, type Call, type ForwardOptions } from './call.js';
import { Layer, layerOptionNames, type LayerOptions } from './layer.js';

/**
 * The options of {@link CombinedTimestepTextProjEmbeddings} and of
 * {@link CombinedTimestepGuidanceTextProjEmbeddings}.
 */
export interface CombinedTimestepTextProjEmbeddingsOptions extends LayerOptions {
  /** The channels of the result. */
  embeddingDim: number;
  /** The channels of the pooled text. */
  pooledProjectionDim: number;
}

const optionNames = [...layerOptionNames, 'embeddingDim', 'pooledProjectionDim'] as const;

/** The inputs of {@link CombinedTimestepTextProjEmbeddings}; an input of one row serves all N rows. */
export interface TimestepTextInputs {
  /** [N]. */
  timestep: TensorLike;
  /** `[N, pooledProjectionDim]`: the text encoder's pooled states. */
  pooledProjection: Tensor;
}

/** The inputs of {@link CombinedTimestepGuidanceTextProjEmbeddings}. */
export interface TimestepGuidanceTextInputs extends TimestepTextInputs {
  /** `[N]`: the guidance scale, multiplied as in the model's pipeline (by 1000 in Flux). */
  guidance: TensorLike;
}

/** Checks the options, which are the same for both layers. */
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
 * The sum of the embeddings of a timestep and of a pooled text: MLP(sinusoids(t)) + MLP(text). The
 * sinusoids are [cos | sin] in 256 channels, shift 0.
 *
 * Weights: `timestep_embedder.…` (256 → D → D) and `text_embedder.…` (pooledProjectionDim → D → D),
 * where D is embeddingDim. Each has `linear_1` and `linear_2`, with SiLU between them. Source:
 * `CombinedTimestepTextProjEmbeddings` of diffusers.
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
 * The sum of the embeddings of a timestep, a guidance scale and a pooled text: MLP(sinusoids(t)) +
 * MLP(sinusoids(guidance)) + MLP(text).
 *
 * Weights: those of {@link CombinedTimestepTextProjEmbeddings}, and `guidance_embedder.…` (256 → D →
 * D). Source: `CombinedTimestepGuidanceTextProjEmbeddings` of diffusers.
 *
 * `forward({ timestep, guidance, pooledProjection }, options?)` returns [N, embeddingDim]. It throws
 * ERR_VALUE (also if `guidance` is missing), ERR_SHAPE and ERR_DTYPE.
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
