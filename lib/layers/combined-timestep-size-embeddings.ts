import { checkArgumentCount, checkBoolean, checkInteger, checkOptions } from '../options.js';
import type { Tensor } from '../tensor.js';
import { conditionInputs, type ConditionInputs } from './conditions.js';
import {
  callOf,
  Layer,
  layerOptionNames,
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

/**
 * Timesteps to one embedding; with additional conditions also resolution and aspect ratio.
 *
 * Every number goes through a sinusoidal projection to 256 channels (flipped, shift 0) and a
 * TimestepEmbedding of its kind; the embedded sizes are concatenated (resolution, then aspect
 * ratio) and added to the embedded timestep. Weights: `timestep_embedder.…`,
 * `resolution_embedder.…`, `aspect_ratio_embedder.…`, each `linear_1` and `linear_2`. Source:
 * `PixArtAlphaCombinedTimestepSizeEmbeddings` of diffusers, `CombinedTimestepSizeEmbeddings` of
 * mindone; fewer size rows than the batch are tiled a, b, a, b.
 */
export class CombinedTimestepSizeEmbeddings extends Layer {
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

  /**
   * @returns [B, embeddingDim], where B is the rows of the timesteps broadcast with `batchSize`
   *   rows of sizes.
   * @throws LatteError ERR_SHAPE ("`batch_size` should be … but found …." among them), ERR_VALUE
   *   where a condition is missing, ERR_STATE, ERR_DISPOSED, ERR_ABORTED.
   */
  async forward(conditions: ConditionInputs, options?: ForwardOptions): Promise<Tensor> {
    return (await this.run(this.#call(conditions, options, arguments)))[0]!;
  }

  /** {@link forward} on the calling thread, which waits for the device if that is an NPU. */
  forwardSync(conditions: ConditionInputs, options?: ForwardOptions): Tensor {
    return this.runSync(this.#call(conditions, options, arguments))[0]!;
  }

  #call(conditions: ConditionInputs, options: ForwardOptions | undefined, given: IArguments): Call {
    checkArgumentCount(given, 2, 'forward(conditions, options)');
    const { inputs, numbers } = conditionInputs(conditions);
    return callOf(inputs, options, numbers);
  }
}
