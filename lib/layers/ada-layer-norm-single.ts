import { checkArgumentCount, checkBoolean, checkInteger, checkOptions } from '../options.js';
import type { Tensor } from '../tensor.js';
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

/** What {@link AdaLayerNormSingle} gives. */
export interface Modulation {
  /** [B, 6D]: shifts, scales and gates of the transformer's blocks. */
  modulation: Tensor;
  /** [B, D]: the combined embedding itself. */
  embeddedTimestep: Tensor;
}

/**
 * The combined embedding e (sizeEmbDim = ⌊D/3⌋), and linear(silu(e)).
 *
 * Weights: `emb.…` as of CombinedTimestepSizeEmbeddings, `linear.{weight [6D, D], bias}`. Source:
 * `AdaLayerNormSingle` of diffusers and mindone, after PixArt-α, section 2.3.
 */
export class AdaLayerNormSingle extends Layer {
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

  /**
   * @param options `out` is { modulation?, embeddedTimestep? }.
   * @throws LatteError as CombinedTimestepSizeEmbeddings' forward.
   */
  async forward(
    conditions: ConditionInputs,
    options?: ForwardOptions<Partial<Modulation>>,
  ): Promise<Modulation> {
    return named(await this.run(callFor(conditions, options, arguments)));
  }

  /** {@link forward} on the calling thread, which waits for the device if that is an NPU. */
  forwardSync(
    conditions: ConditionInputs,
    options?: ForwardOptions<Partial<Modulation>>,
  ): Modulation {
    return named(this.runSync(callFor(conditions, options, arguments)));
  }
}

function callFor(
  conditions: ConditionInputs,
  options: ForwardOptions<Partial<Modulation>> | undefined,
  given: IArguments,
): Call {
  checkArgumentCount(given, 2, 'forward(conditions, options)');
  const { out, signal } = checkOptions(options, forwardOptionNames);
  const { modulation, embeddedTimestep } = checkOptions(
    out,
    ['modulation', 'embeddedTimestep'],
    'out',
  );
  return {
    ...conditionInputs(conditions),
    outs: [
      ['out.modulation', modulation],
      ['out.embeddedTimestep', embeddedTimestep],
    ],
    signal,
  };
}

function named([modulation, embeddedTimestep]: Tensor[]): Modulation {
  return { modulation: modulation!, embeddedTimestep: embeddedTimestep! };
}
