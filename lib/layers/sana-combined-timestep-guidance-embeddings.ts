import type { FloatDType } from '../tensor/dtype.js';
import { checkArgumentCount, checkInteger, checkOptions } from '../options.js';
import type { TensorLike } from '../tensor/tensor-like.js';
import { modulationCall, type Modulation } from './ada-layer-norm-single.js';
import { namedInputs } from './conditions.js';
import type { Call, ForwardOptions } from './call.js';
import { Layer, layerOptionNames, type LayerOptions } from './layer.js';

/** The options of {@link SanaCombinedTimestepGuidanceEmbeddings}. */
export interface SanaCombinedTimestepGuidanceEmbeddingsOptions extends LayerOptions {
  /** D, the channels of the transformer. */
  embeddingDim: number;
}

/** The inputs of {@link SanaCombinedTimestepGuidanceEmbeddings}; an input of one row serves all N rows. */
export interface TimestepGuidanceInputs {
  /** [N]. */
  timestep: TensorLike;
  /** `[N]`: the guidance scale, multiplied as in the model's pipeline (by `guidance_embeds_scale`). */
  guidance: TensorLike;
  /** The dtype of the results, to which the sinusoids are also rounded. Default: the layer's dtype. */
  hiddenDtype?: FloatDType;
}

type SanaInputs = [
  conditions: TimestepGuidanceInputs,
  options?: ForwardOptions<Partial<Modulation>>,
];

/**
 * The embedding of a timestep and a guidance scale, e = MLP(sinusoids(t)) + MLP(sinusoids(guidance)),
 * and linear(silu(e)).
 *
 * Weights: `timestep_embedder.…`, `guidance_embedder.…` (256 → D → D), `linear.{weight [6D, D], bias}`.
 * Source: `SanaCombinedTimestepGuidanceEmbeddings` of diffusers.
 *
 * `forward({ timestep, guidance, hiddenDtype? }, options?)` returns a {@link Modulation} of N rows;
 * `options.out` is `{ modulation?, embeddedTimestep? }`. It throws ERR_VALUE (also if `guidance` is
 * missing), ERR_SHAPE and ERR_DTYPE.
 */
export class SanaCombinedTimestepGuidanceEmbeddings extends Layer<SanaInputs, Modulation> {
  /** @throws LatteError ERR_VALUE, ERR_DTYPE, ERR_DEVICE_UNAVAILABLE. */
  constructor(options: SanaCombinedTimestepGuidanceEmbeddingsOptions) {
    checkArgumentCount(arguments, 1, 'new SanaCombinedTimestepGuidanceEmbeddings(options)');
    const given = checkOptions(options, [...layerOptionNames, 'embeddingDim']);
    super('SanaCombinedTimestepGuidanceEmbeddings', given, {
      embeddingDim: checkInteger(given.embeddingDim, 'embeddingDim'),
    });
  }

  /** @internal */
  protected override call(given: SanaInputs): Call<Modulation> {
    checkArgumentCount(given, 2, 'forward(conditions, options)');
    const [conditions, options] = given;
    const kinds = { timestep: 'numbers', guidance: 'numbers', hiddenDtype: 'dtype?' } as const;
    return modulationCall(namedInputs(conditions, kinds), options);
  }
}
