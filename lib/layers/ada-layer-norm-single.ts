import { checkArgumentCount, checkBoolean, checkInteger, checkOptions } from '../options.js';
import type { Tensor } from '../tensor/tensor.js';
import { conditionInputs, type ConditionInputs } from './conditions.js';
import {
  forwardOptionNames,
  Layer,
  layerOptionNames,
  type Call,
  type ForwardOptions,
  type LayerOptions,
} from './layer.js';

export interface AdaLayerNormSingleOptions extends LayerOptions {
  /** D, the channels of the transformer. */
  embeddingDim: number;
  /** Whether resolution and aspect ratio are embedded, too. Default false. */
  useAdditionalConditions?: boolean;
}

const optionNames = [...layerOptionNames, 'embeddingDim', 'useAdditionalConditions'] as const;

/** What {@link AdaLayerNormSingle} returns. */
export interface Modulation {
  /** [B, 6D]: shifts, scales and gates of the transformer's blocks. */
  modulation: Tensor;
  /** [B, D]: the combined embedding itself. */
  embeddedTimestep: Tensor;
}

type AdaLayerNormSingleInputs = [
  conditions: ConditionInputs,
  options?: ForwardOptions<Partial<Modulation>>,
];

/**
 * The combined embedding e (sizeEmbDim = ⌊D/3⌋), and linear(silu(e)).
 *
 * Weights: `emb.…` as of CombinedTimestepSizeEmbeddings, `linear.{weight [6D, D], bias}`. Source:
 * `AdaLayerNormSingle` of diffusers and mindone, after PixArt-α, section 2.3.
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
    });
  }

  /** @internal */
  protected override call(inputs: AdaLayerNormSingleInputs): Call<Modulation> {
    checkArgumentCount(inputs, 2, 'forward(conditions, options)');
    const [conditions, options] = inputs;
    const { out, signal } = checkOptions(options, forwardOptionNames);
    const given = checkOptions(out, ['modulation', 'embeddedTimestep'], 'out');
    return {
      ...conditionInputs(conditions),
      outs: [
        ['out.modulation', given.modulation],
        ['out.embeddedTimestep', given.embeddedTimestep],
      ],
      signal,
      toResult: ([modulation, embeddedTimestep]) => ({
        modulation: modulation!,
        embeddedTimestep: embeddedTimestep!,
      }),
    };
  }
}
