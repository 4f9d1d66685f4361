import { checkFloatDType, type FloatDType } from '../tensor/dtype.js';
import { checkInteger, checkOptions } from '../options.js';
import { asTensor, type TensorLike } from '../tensor/tensor-like.js';
import type { Call } from './layer.js';

/** What the transformer is conditioned on at one step. */
export interface ConditionInputs {
  /** [N]; N equals the rows of sizes, or either of them is 1. */
  timestep: TensorLike;
  /**
   * [b, 2] (height, width) in pixels; tiled a, b, a, b to `batchSize`. Without
   * `useAdditionalConditions` it has no effect.
   */
  resolution?: TensorLike;
  /** [b, 1] or [b]; tiled like the resolution. Without `useAdditionalConditions` no effect. */
  aspectRatio?: TensorLike;
  /**
   * How many rows of sizes; N and this broadcast. Default: the number of timesteps, or of condition
   * rows if there is one timestep. Without `useAdditionalConditions` it has no effect: the result has
   * as many rows as timesteps.
   */
  batchSize?: number;
  /** The dtype of the result, and of the sinusoids on their way. Default: the layer's. */
  hiddenDtype?: FloatDType;
}

const conditionNames = [
  'timestep',
  'resolution',
  'aspectRatio',
  'batchSize',
  'hiddenDtype',
] as const;

/** Checks the inputs that CombinedTimestepSizeEmbeddings and AdaLayerNormSingle share. @internal */
export function conditionInputs(
  conditions: ConditionInputs,
): Pick<Call<unknown>, 'inputs' | 'numbers'> {
  const { timestep, resolution, aspectRatio, batchSize, hiddenDtype } = checkOptions(
    conditions,
    conditionNames,
    'conditions',
  );
  return {
    inputs: [
      ['timestep', asTensor(timestep, 'timestep')],
      ['resolution', resolution == null ? undefined : asTensor(resolution, 'resolution')],
      ['aspectRatio', aspectRatio == null ? undefined : asTensor(aspectRatio, 'aspectRatio')],
    ],
    numbers: {
      batchSize:
        batchSize === undefined ? undefined : checkInteger(batchSize, 'batchSize', undefined, 0),
      hiddenDtype:
        hiddenDtype === undefined ? undefined : checkFloatDType(hiddenDtype, 'hiddenDtype'),
    },
  };
}
