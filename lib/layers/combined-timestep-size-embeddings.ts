import { checkArgumentCount, checkBoolean, checkInteger, checkOptions } from '../options.js';
import type { Tensor } from '../tensor/tensor.js';
import { conditionInputs, type ConditionInputs } from './conditions.js';
import { singleResultCall, type Call, type ForwardOptions } from './call.js';
import { Layer, layerOptionNames, type LayerOptions } from './layer.js';

/** The options of {@link CombinedTimestepSizeEmbeddings}. */
export interface CombinedTimestepSizeEmbeddingsOptions extends LayerOptions {
  /** The channels of the result. */
  embeddingDim: number;
  /** The channels of each embedded size: with additional conditions embeddingDim/3, for three sizes. */
  sizeEmbDim: number;
  /** Whether the layer also embeds resolution and aspect ratio. Default false. */
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
 * One embedding of a timestep; with additional conditions, of timestep, resolution and aspect ratio.
 *
 * Each number becomes 256 sinusoids ([cos | sin], shift 0), and these pass the TimestepEmbedding of
 * the timestep, the resolution or the aspect ratio. The embedded sizes (height, width, aspect ratio)
 * are concatenated and added to the embedded timestep.
 *
 * Weights: `timestep_embedder.…`, `resolution_embedder.…`, `aspect_ratio_embedder.…`, each with
 * `linear_1.{weight, bias}` and `linear_2.{weight, bias}`. Source:
 * `PixArtAlphaCombinedTimestepSizeEmbeddings` of diffusers, `CombinedTimestepSizeEmbeddings` of
 * mindone.
 *
 * `forward(conditions, options?)` returns [B, embeddingDim]. B is the larger of the number of timesteps
 * and the rows of sizes, of which one may be 1. It throws ERR_SHAPE (for example "`batch_size` should
 * be … but found …."), and ERR_VALUE if a condition is missing.
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
