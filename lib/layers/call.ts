// The arguments of one forward, as the layers' classes check them.
import { LatteError, show, showShape } from '../errors.js';
import type { NativeForwardOptions } from '../native.js';
import { checkArgumentCount, checkOptions } from '../options.js';
import { isTensor, type Tensor } from '../tensor/tensor.js';

/** The last argument of every forward. */
export interface ForwardOptions<Out = Tensor> {
  /**
   * Receives the result, so that none is allocated. It must have the result's shape, dtype and device,
   * and overlap no input. The device writes directly into memory of the library. An array of the caller
   * is filled on the JavaScript thread, just before the promise resolves.
   */
  out?: Out;
  /** If it is aborted, the promise rejects with ERR_ABORTED; `out` may then be partly written. */
  signal?: AbortSignal;
}

/** The checked arguments of one forward, as `Layer.call` returns them. @internal */
export interface Call<Result> {
  /** In the order in which the addon takes them; undefined for an input that was left out. */
  inputs: [name: string, tensor: Tensor | undefined][];
  /** The caller's tensor for each result; undefined if the addon is to make one. */
  outs: [name: string, tensor: Tensor | undefined][];
  signal: AbortSignal | undefined;
  /** The arguments that are not tensors. */
  numbers?: NativeForwardOptions;
  /** Makes the forward's return value of the result tensors, which come in the order of `outs`. */
  toResult: (tensors: Tensor[]) => Result;
}

/** Checks that an argument is a Tensor. @throws LatteError ERR_VALUE. @internal */
export function checkTensor(value: unknown, name: string): Tensor {
  if (isTensor(value)) return value;
  throw new LatteError('ERR_VALUE', `${name} must be a Tensor, but is ${show(value)}`);
}

/**
 * Checks how many axes a tensor has.
 * @param expected the shape for the message: '[B, C, H, W]'.
 * @throws LatteError ERR_SHAPE.
 * @internal
 */
export function checkRank(tensor: Tensor, name: string, rank: number, expected: string): void {
  if (tensor.shape.length !== rank) {
    throw new LatteError(
      'ERR_SHAPE',
      `${name} must have shape ${expected}, but has ${showShape(tensor.shape)}`,
    );
  }
}

/** The names of {@link ForwardOptions}. @internal */
export const forwardOptionNames = ['out', 'signal'] as const;

/** Makes a {@link Call} with one result, for which `options.out` may be given. @internal */
export function singleResultCall(
  inputs: Call<Tensor>['inputs'],
  options: ForwardOptions | undefined,
  numbers?: NativeForwardOptions,
): Call<Tensor> {
  const { out, signal } = checkOptions(options, forwardOptionNames);
  return { inputs, outs: [['out', out]], signal, numbers, toResult: ([result]) => result! };
}

/**
 * Makes a {@link Call} for a forward whose arguments are tensors, then options, with one result.
 * @param given the arguments of the forward.
 * @internal
 */
export function tensorCall(given: readonly unknown[], names: readonly string[]): Call<Tensor> {
  checkArgumentCount(given, names.length + 1, `forward(${names.join(', ')}, options)`);
  return singleResultCall(
    names.map((name, i) => [name, checkTensor(given[i], name)]),
    given[names.length] as ForwardOptions | undefined,
  );
}

/**
 * Makes a {@link Call} whose result is an object of tensors. `options.out` may have a tensor for each
 * of the names.
 * @internal
 */
export function namedResultsCall<Name extends string>(
  { inputs, numbers }: Pick<Call<unknown>, 'inputs' | 'numbers'>,
  options: ForwardOptions<{ [N in Name]?: Tensor }> | undefined,
  names: readonly Name[],
): Call<Record<Name, Tensor>> {
  const { out, signal } = checkOptions(options, forwardOptionNames);
  const given: { [N in Name]?: Tensor } = checkOptions(out, names, 'out');
  return {
    inputs,
    numbers,
    outs: names.map((name) => [`out.${name}`, given[name]]),
    signal,
    toResult: (tensors) =>
      Object.fromEntries(names.map((name, i) => [name, tensors[i]!])) as Record<Name, Tensor>,
  };
}
