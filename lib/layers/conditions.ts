import { checkFloatDType, type FloatDType } from '../tensor/dtype.js';
import { checkInteger, checkOptions } from '../options.js';
import { asTensor, type TensorLike } from '../tensor/tensor-like.js';
import { checkTensor, type Call } from './layer.js';

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

/** What a forward takes under a name: numbers in a tensor or an array, or a tensor alone. */
type NamedKind = 'numbers' | 'numbers?' | 'tensor' | 'tensor?' | 'length?' | 'dtype?';

/**
 * Checks a forward's inputs that are given by name. Those that may be left out have a '?'.
 * @param kinds the names in the order in which the addon takes the tensors.
 * @throws LatteError ERR_VALUE, ERR_DTYPE.
 * @internal
 */
export function namedInputs<T extends object>(
  given: T,
  kinds: Readonly<Record<keyof T & string, NamedKind>>,
): Pick<Call<unknown>, 'inputs' | 'numbers'> {
  const names = Object.keys(kinds) as (keyof T & string)[];
  const values = checkOptions(given, names, 'conditions');
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

/** Checks the inputs that CombinedTimestepSizeEmbeddings and AdaLayerNormSingle share. @internal */
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
