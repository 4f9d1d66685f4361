import { checkArgumentCount, checkBoolean, checkInteger, checkOptions } from '../options.js';
import type { Tensor } from '../tensor/tensor.js';
import { conditionInputs, type ConditionInputs } from './conditions.js';
import {
  Layer,
  layerOptionNames,
  singleResultCall,
  type Call,
  type ForwardOptions,
  type LayerOptions,
} from './layer.js';

export interface CombinedTimestepSizeEmbeddingsOptions extends LayerOptions {
  /** The channels of the result. */
  embeddingDim: number;
  /** The channels of each embedded size value; with conditions, their number times this must be embeddingDim. */
  sizeEmbDim: number;
  /** Whether resolution and aspect ratio are embedded, too. Default false. */
  useAdditionalConditions?: boolean;
}

const optionNames = [
  ...layerOptionNames,
  'embeddingDim',
  'sizeEmbDim',
  'useAdditionalConditions',
] as const;

type ConditionForwardInputs = [conditions: ConditionInputs, options?: ForwardOptions];

/**
 * Timesteps to one embedding; with additional conditions also resolution and aspect ratio.
 *
 * Every number goes through a sinusoidal projection to 256 channels (flipped, shift 0) and a
 * TimestepEmbedding of its kind; the embedded sizes are concatenated (resolution, then aspect
 * ratio) and added to the embedded timestep. Weights: `timestep_embedder.…`,
 * `resolution_embedder.…`, `aspect_ratio_embedder.…`, each `linear_1` and `linear_2`. Source:
 * `PixArtAlphaCombinedTimestepSizeEmbeddings` of diffusers, `CombinedTimestepSizeEmbeddings` of
 * mindone; fewer size rows than the batch are tiled a, b, a, b.
 *
 * `forward(conditions, options?)` returns [B, embeddingDim], where B is the number of timesteps
 * broadcast with the `batchSize` rows of sizes. It throws ERR_SHAPE ("`batch_size` should be … but found
 * …." among them) and ERR_VALUE if a condition is missing.
 */
export class CombinedTimestepSizeEmbeddings extends Layer<ConditionForwardInputs, Tensor> {
  /** @throws LatteError ERR_VALUE, ERR_DTYPE, ERR_DEVICE_UNAVAILABLE. */
  constructor(options: CombinedTimestepSizeEmbeddingsOptions) {
    checkArgumentCount(arguments, 1, 'new CombinedTimestepSizeEmbeddings(options)');
    const given = checkOptions(options, optionNames);
    super('CombinedTimestepSizeEmbeddings', given, {
      embeddingDim: checkInteger(given.embeddingDim, 'embeddingDim'),
      sizeEmbDim: checkInteger(given.sizeEmbDim, 'sizeEmbDim'),
      useAdditionalConditions: checkBoolean(
        given.useAdditionalConditions,
        'useAdditionalConditions',
        false,
      ),
    });
  }

  /** @internal */
  protected override call(inputs: ConditionForwardInputs): Call<Tensor> {
    checkArgumentCount(inputs, 2, 'forward(conditions, options)');
    const [conditions, options] = inputs;
    const { inputs: tensors, numbers } = conditionInputs(conditions);
    return singleResultCall(tensors, options, numbers);
  }
}
