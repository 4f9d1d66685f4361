import { checkArgumentCount, checkBoolean, checkInteger, checkOptions } from '../options.js';
import type { Tensor } from '../tensor/tensor.js';
import { conditionInputs, type ConditionInputs } from './conditions.js';
import {
  Layer,
  layerOptionNames,
  namedResultsCall,
  type Call,
  type ForwardOptions,
  type LayerOptions,
} from './layer.js';

export interface AdaLayerNormSingleOptions extends LayerOptions {
  /** D, the channels of the transformer. */
  embeddingDim: number;
  /** Whether resolution and aspect ratio are embedded, too. Default false. */
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

/** What {@link AdaLayerNormSingle} returns. */
export interface Modulation {
  /** `[B, nD]`: shifts, scales and gates of the transformer's blocks. */
  modulation: Tensor;
  /** `[B, D]`: the combined embedding itself. */
  embeddedTimestep: Tensor;
}

type AdaLayerNormSingleInputs = [
  conditions: ConditionInputs,
  options?: ForwardOptions<Partial<Modulation>>,
];

/**
 * The combined embedding e (sizeEmbDim = ⌊D/3⌋), and linear(silu(e)).
 *
 * Weights: `emb.…` as of CombinedTimestepSizeEmbeddings, `linear.{weight [nD, D], bias}`. Source:
 * `AdaLayerNormSingle` of diffusers and mindone, after PixArt-α, section 2.3; with another n than 6
 * `LTX2AdaLayerNormSingle` of diffusers.
 *
 * `forward(conditions, options?)` returns a {@link Modulation}; `options.out` is `{ modulation?,
 * embeddedTimestep? }`. It throws what CombinedTimestepSizeEmbeddings' `forward` throws.
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

/** A call whose results are a {@link Modulation}. @internal */
export function modulationCall(
  checked: Pick<Call<unknown>, 'inputs' | 'numbers'>,
  options: ForwardOptions<Partial<Modulation>> | undefined,
): Call<Modulation> {
  return namedResultsCall(checked, options, ['modulation', 'embeddedTimestep']);
}
