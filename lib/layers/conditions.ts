import { checkFloatDType, type FloatDType } from '../tensor/dtype.js';
import { checkInteger, checkOptions } from '../options.js';
import { asTensor, type TensorLike } from '../tensor/tensor-like.js';
import { checkTensor, forwardOptionNames, type Call } from './call.js';

/** The inputs of {@link CombinedTimestepSizeEmbeddings} and {@link AdaLayerNormSingle}. */
export interface ConditionInputs {
  /** [N]; N equals `batchSize`, or one of the two is 1. */
  timestep: TensorLike;
  /**
   * `[b, 2]`: height and width in pixels. The rows are repeated a, b, a, b up to `batchSize`, so b must
   * divide it. Without `useAdditionalConditions` this input has no effect.
   */
  resolution?: TensorLike;
  /**
   * [b, 1] or [b]: height divided by width, repeated like the resolution. Without
   * `useAdditionalConditions` this input has no effect.
   */
  aspectRatio?: TensorLike;
  /**
   * The rows of sizes. Default: the number of timesteps; if that is 1, the number of rows of
   * `resolution`. Without `useAdditionalConditions` this number has no effect: the result then has as
   * many rows as there are timesteps.
   */
  batchSize?: number;
  /** The dtype of the result, to which the sinusoids are also rounded. Default: the layer's dtype. */
  hiddenDtype?: FloatDType;
}

/**
 * The kind of a forward's input: 'numbers' is a {@link TensorLike}, 'tensor' a Tensor, 'length' a
 * whole number from 0, 'dtype' a floating dtype. An input with a '?' may be left out.
 */
type NamedKind = 'numbers' | 'numbers?' | 'tensor' | 'tensor?' | 'length?' | 'dtype?';

/**
 * Checks the inputs of a forward that takes them by name.
 * @param kinds the names, in the order in which the addon takes the tensors.
 * @throws LatteError ERR_VALUE, ERR_DTYPE.
 * @internal
 */
export function namedInputs<T extends object>(
  given: T,
  kinds: Readonly<Record<keyof T & string, NamedKind>>,
): Pick<Call<unknown>, 'inputs' | 'numbers'> {
  const names = Object.keys(kinds) as (keyof T & string)[];
  const values = checkOptions(given, names, 'conditions', forwardOptionNames);
  const inputs: Call<unknown>['inputs'] = [];
  const numbers: Record<string, unknown> = {};
  for (const name of names) {
    const value: unknown = values[name];
    const kind = kinds[name];
    if (kind === 'length?') {
      if (value !== undefined) numbers[name] = checkInteger(value, name, undefined, 0);
    } else if (kind === 'dtype?') {
      if (value !== undefined) numbers[name] = checkFloatDType(value, name);
    } else if (value == null && kind.endsWith('?')) {
      inputs.push([name, undefined]);
    } else {
      const tensor = kind.startsWith('numbers') ? asTensor(value, name) : checkTensor(value, name);
      inputs.push([name, tensor]);
    }
  }
  return { inputs, numbers };
}

/** Checks {@link ConditionInputs}. @throws LatteError ERR_VALUE, ERR_DTYPE. @internal */
export function conditionInputs(
  conditions: ConditionInputs,
): Pick<Call<unknown>, 'inputs' | 'numbers'> {
  return namedInputs(conditions, {
    timestep: 'numbers',
    resolution: 'numbers?',
    aspectRatio: 'numbers?',
    batchSize: 'length?',
    hiddenDtype: 'dtype?',
  });
}
