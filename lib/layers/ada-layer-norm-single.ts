import { checkArgumentCount, checkBoolean, checkInteger, checkOptions } from '../options.js';
import type { Tensor } from '../tensor/tensor.js';
import { conditionInputs, type ConditionInputs } from './conditions.js';
import { namedResultsCall, type Call, type ForwardOptions } from './call.js';
import { Layer, layerOptionNames, type LayerOptions } from './layer.js';

/** The options of {@link AdaLayerNormSingle}. */
export interface AdaLayerNormSingleOptions extends LayerOptions {
  /** D, the channels of the transformer. */
  embeddingDim: number;
  /** Whether the layer also embeds resolution and aspect ratio. Default false. */
  useAdditionalConditions?: boolean;
  /** n, how many shifts, scales and gates the modulation has. Default 6. */
  numModParams?: number;
}

const optionNames = [
  ...layerOptionNames,
  'embeddingDim',
  'useAdditionalConditions',
  'numModParams',
] as const;

/** The result of {@link AdaLayerNormSingle}. */
export interface Modulation {
  /** `[B, nD]`: linear(silu(e)), the shifts, scales and gates of the transformer's blocks. */
  modulation: Tensor;
  /** `[B, D]`: e, the embedding of timestep and sizes. */
  embeddedTimestep: Tensor;
}

type AdaLayerNormSingleInputs = [
  conditions: ConditionInputs,
  options?: ForwardOptions<Partial<Modulation>>,
];

/**
 * The adaptive layer norm's parameters: the embedding e of a timestep (and sizes), and
 * linear(silu(e)). A {@link CombinedTimestepSizeEmbeddings} with sizeEmbDim = ⌊D/3⌋ makes e.
 *
 * Weights: those of CombinedTimestepSizeEmbeddings under `emb.`, and `linear.{weight [nD, D], bias
 * [nD]}`. Source: `AdaLayerNormSingle` of diffusers and mindone, after PixArt-α, section 2.3. For n
 * other than 6: `LTX2AdaLayerNormSingle` of diffusers.
 *
 * `forward(conditions, options?)` returns a {@link Modulation}; `options.out` is `{ modulation?,
 * embeddedTimestep? }`. It throws the same errors as the `forward` of CombinedTimestepSizeEmbeddings.
 * @example
 * ```ts
 * const layer = new AdaLayerNormSingle({ embeddingDim: 1152 });
 * layer.loadStateDict(weights);
 * const { modulation } = await layer.forward({ timestep: [999, 949] }); // [2, 6912]
 * ```
 */
export class AdaLayerNormSingle extends Layer<AdaLayerNormSingleInputs, Modulation> {
  /** @throws LatteError ERR_VALUE, ERR_DTYPE, ERR_DEVICE_UNAVAILABLE. */
  constructor(options: AdaLayerNormSingleOptions) {
    checkArgumentCount(arguments, 1, 'new AdaLayerNormSingle(options)');
    const given = checkOptions(options, optionNames);
    const useAdditionalConditions = checkBoolean(
      given.useAdditionalConditions,
      'useAdditionalConditions',
      false,
    );
    super('AdaLayerNormSingle', given, {
      embeddingDim: checkInteger(
        given.embeddingDim,
        'embeddingDim',
        undefined,
        useAdditionalConditions ? 3 : 1,
      ),
      useAdditionalConditions,
      numModParams: checkInteger(given.numModParams, 'numModParams', 6, 1, 2 ** 10),
    });
  }

  /** @internal */
  protected override call(inputs: AdaLayerNormSingleInputs): Call<Modulation> {
    checkArgumentCount(inputs, 2, 'forward(conditions, options)');
    const [conditions, options] = inputs;
    return modulationCall(conditionInputs(conditions), options);
  }
}

/** Makes a {@link Call} whose results are a {@link Modulation}. @internal */
export function modulationCall(
  checked: Pick<Call<unknown>, 'inputs' | 'numbers'>,
  options: ForwardOptions<Partial<Modulation>> | undefined,
): Call<Modulation> {
  return namedResultsCall(checked, options, ['modulation', 'embeddedTimestep']);
}
