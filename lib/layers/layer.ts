import { checkFloatDType, type FloatDType } from '../tensor/dtype.js';
import { LatteError, show, showShape } from '../errors.js';
import { abortError, checkSignal, isAborted, onAbort } from '../abort-signal.js';
import { resolveDevice } from '../device.js';
import {
  disposeHandle,
  handleList,
  native,
  settled,
  type NativeForwardOptions,
  type NativeLayer,
  type NativeParameter,
  type NativeTensors,
} from '../native.js';
import { checkArgumentCount, checkBoolean, checkEntries, checkOptions } from '../options.js';
import { handleOf, handleToReadNow } from '../tensor/state.js';
import { isTensor, stateOf, wrapHandle, type Tensor } from '../tensor/tensor.js';
import { checkOrder, startReading } from '../tensor/use.js';

/** The last argument of every forward. */
export interface ForwardOptions<Out = Tensor> {
  /**
   * Receives the result, with no allocation: a tensor of the result's shape, dtype and device that
   * overlaps no input. Memory that the library made is written in place; a caller's array is filled
   * on the JavaScript thread when the result is there.
   */
  out?: Out;
  /** Rejects the promise with ERR_ABORTED; `out` may then be partly written. */
  signal?: AbortSignal;
}

/** Options that every layer with weights has. */
export interface LayerOptions {
  /** 'auto' (the default), 'cpu', 'npu' or 'npu:0' … */
  device?: string;
  /** The dtype of weights and results. Default 'float32'. */
  dtype?: FloatDType;
}

export interface LoadStateDictOptions {
  /** Put before each name when it is looked up. Default ''. */
  prefix?: string;
  /** false leaves out tensors that the layer does not know. Default true. */
  strict?: boolean;
}

/** Tensors by name. */
export type StateDict = Record<string, Tensor> | ReadonlyMap<string, Tensor>;

/** One forward: what {@link Layer.call} makes of the caller's arguments, checked. @internal */
export interface Call<Result> {
  inputs: [name: string, tensor: Tensor | undefined][];
  /** A tensor for each result, or undefined for one to be made. */
  outs: [name: string, tensor: Tensor | undefined][];
  signal: AbortSignal | undefined;
  /** Numbers beside the tensors. */
  numbers?: NativeForwardOptions;
  /** What the caller gets, made of a tensor for each of `outs`. */
  toResult: (tensors: Tensor[]) => Result;
}

/** The names in {@link LayerOptions}, for the layers' checks. @internal */
export const layerOptionNames = ['device', 'dtype'] as const;

/** The number of the last forward that can be cancelled. */
let lastId = 0;

/**
 * What all layers have in common. Each layer's own comment gives the shapes, dtypes and errors of its
 * `forward`.
 */
export abstract class Layer<Inputs extends unknown[], Result> {
  readonly #native: NativeLayer;
  readonly #device: string;
  readonly #dtype: FloatDType;
  #disposed = false;

  /**
   * @param kind the layer's name in the addon.
   * @param given the caller's options, of which the device and the dtype are checked here.
   * @param config the layer's own options, checked and complete.
   * @internal
   */
  protected constructor(kind: string, given: LayerOptions, config: Record<string, unknown>) {
    this.#device = resolveDevice(given.device);
    this.#dtype = given.dtype === undefined ? 'float32' : checkFloatDType(given.dtype);
    this.#native = native.createLayer(kind, config, this.#device, this.#dtype);
  }

  /** 'cpu', 'npu:0' … */
  get device(): string {
    return this.#device;
  }

  /** The dtype of the weights and of results. */
  get dtype(): FloatDType {
    return this.#dtype;
  }

  /** Whether {@link dispose} was called. */
  get disposed(): boolean {
    return this.#disposed;
  }

  /** The names and shapes of its weights. @internal */
  parameters(): NativeParameter[] {
    return native.parameters(this.#checkAlive());
  }

  /** Names in a state dict that the layer knows and does not need. @internal */
  protected get ignoredNames(): readonly string[] {
    return [];
  }

  /**
   * Takes new weights. If anything is wrong with them, the layer keeps its old ones. Tensors of
   * another floating dtype are converted. On an NPU this waits for the device, which it opens first
   * if need be.
   * @throws LatteError ERR_STATE for a missing tensor, ERR_VALUE for an extra one (when strict),
   *   ERR_SHAPE, ERR_DTYPE; all name it.
   */
  loadStateDict(stateDict: StateDict, options?: LoadStateDictOptions): void {
    const layer = this.#checkAlive();
    checkArgumentCount(arguments, 2, 'loadStateDict(stateDict, options)');
    const { prefix = '', strict } = checkOptions(options, ['prefix', 'strict']);
    if (typeof prefix !== 'string') {
      throw new LatteError('ERR_VALUE', `prefix must be a string, but is ${show(prefix)}`);
    }
    const isStrict = checkBoolean(strict, 'strict', true);
    const given = new Map(checkEntries(stateDict, 'stateDict', 'tensors'));
    const names: string[] = [];
    const parameters = native.parameters(layer);
    const tensors = handleList(0);
    for (const parameter of parameters) {
      const name = prefix + parameter.name;
      const tensor = given.get(name);
      given.delete(name);
      if (tensor === undefined) {
        if (!parameter.required) continue;
        throw new LatteError(
          'ERR_STATE',
          `the state dict lacks ${show(name)} ${showShape(parameter.shape)}`,
        );
      }
      if (!isTensor(tensor)) {
        throw new LatteError('ERR_VALUE', `${show(name)} must be a Tensor, but is ${show(tensor)}`);
      }
      if (showShape(tensor.shape) !== showShape(parameter.shape)) {
        throw new LatteError(
          'ERR_SHAPE',
          `${show(name)} must have shape ${showShape(parameter.shape)}, but has ${showShape(tensor.shape)}`,
        );
      }
      names.push(parameter.name);
      tensors[names.length - 1] = handleToReadNow(stateOf(tensor), show(name));
    }
    for (const name of this.ignoredNames) given.delete(prefix + name);
    const extra = [...given.keys()].find((name) => name.startsWith(prefix));
    if (isStrict && extra !== undefined) {
      throw new LatteError(
        'ERR_VALUE',
        `the state dict has ${show(extra)}, which the layer does not know`,
      );
    }
    native.load(layer, names, tensors);
  }

  /**
   * The weights by name, on the cpu, in the layer's dtype.
   * @throws LatteError ERR_STATE if no weights were loaded, ERR_DISPOSED.
   */
  stateDict(): Record<string, Tensor> {
    checkArgumentCount(arguments, 0, 'stateDict()');
    const entries = native.state(this.#checkAlive());
    const tensors: [name: string, tensor: Tensor][] = [];
    try {
      // A for-of loop would call Array.prototype[Symbol.iterator], which a program may have replaced;
      // the handles must not reach it.
      for (let i = 0; i < entries.length; i++) {
        const entry = entries[i]!;
        tensors.push([entry[0], wrapHandle(entry[1])]);
      }
    } catch (error) {
      for (let i = 0; i < entries.length; i++) disposeHandle(entries[i]![1]);
      throw error;
    }
    return Object.fromEntries(tensors);
  }

  /** Gives the weights back; forwards that are under way complete. A second call does nothing. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    native.disposeLayer(this.#native);
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  #checkAlive(): NativeLayer {
    if (this.#disposed)
      throw new LatteError('ERR_DISPOSED', `${this.constructor.name} was disposed`);
    return this.#native;
  }

  /**
   * Computes on another thread, and leaves the event loop free.
   * @throws LatteError (as a rejection) ERR_STATE without weights, ERR_DISPOSED, ERR_ABORTED,
   *   ERR_OUT_OF_MEMORY, ERR_DEVICE, and what the layer's comment names.
   */
  async forward(...inputs: Inputs): Promise<Result> {
    return this.run(this.call(inputs));
  }

  /** {@link forward} on the calling thread, which waits for the device if that is an NPU. */
  forwardSync(...inputs: Inputs): Result {
    const call = this.call(inputs);
    const layer = this.#checkAlive();
    const handles = prepare(call, this.#device);
    for (const [name, tensor] of call.inputs) {
      if (tensor !== undefined) handleToReadNow(stateOf(tensor), name);
    }
    for (const [name, tensor] of call.outs) {
      if (tensor !== undefined && stateOf(tensor).use.reads > 0) {
        throw new LatteError('ERR_STATE', `${name} is still being read: await that first`);
      }
    }
    try {
      native.forwardSync(layer, handles.inputs, handles.results, call.numbers);
      return finish(handles.results, call);
    } catch (error) {
      disposeMade(handles.results, call);
      throw error;
    }
  }

  /** Checks the arguments of a forward. @internal */
  protected abstract call(inputs: Inputs): Call<Result>;

  /** Runs a forward on another thread. @internal */
  protected async run(call: Call<Result>): Promise<Result> {
    const layer = this.#checkAlive();
    const { inputs, results } = prepare(call, this.#device);
    checkCallOrder(call, this.#device);
    const { signal } = call;
    const id = signal === undefined ? 0 : ++lastId;
    const cancel = (): void => {
      try {
        native.cancel(id);
      } catch {
        // Nothing can catch what an event listener throws: the forward goes on.
      }
    };
    // Marked before anything starts, and released whatever happens.
    const release = hold(call, this.#device);
    let forget: (() => void) | undefined;
    try {
      forget = signal && onAbort(signal, cancel);
      await settled(native.forward(layer, inputs, results, call.numbers, id));
      // Another listener may have stopped the event before it reached ours.
      if (signal && isAborted(signal)) throw abortError(signal);
      return finish(results, call);
    } catch (error) {
      disposeMade(results, call);
      if (
        signal &&
        isAborted(signal) &&
        error instanceof LatteError &&
        error.code === 'ERR_ABORTED'
      ) {
        throw abortError(signal);
      }
      throw error;
    } finally {
      release();
      forget?.();
    }
  }
}

/** Checks a forward's tensor argument. @internal */
export function checkTensor(value: unknown, name: string): Tensor {
  if (isTensor(value)) return value;
  throw new LatteError('ERR_VALUE', `${name} must be a Tensor, but is ${show(value)}`);
}

/** Throws ERR_SHAPE, which names the expected shape, if the rank is another. @internal */
export function checkRank(tensor: Tensor, name: string, rank: number, expected: string): void {
  if (tensor.shape.length !== rank) {
    throw new LatteError(
      'ERR_SHAPE',
      `${name} must have shape ${expected}, but has ${showShape(tensor.shape)}`,
    );
  }
}

/** The names in {@link ForwardOptions}. @internal */
export const forwardOptionNames = ['out', 'signal'] as const;

/** A call with one result, which `options.out` receives. @internal */
export function singleResultCall(
  inputs: Call<Tensor>['inputs'],
  options: ForwardOptions | undefined,
  numbers?: NativeForwardOptions,
): Call<Tensor> {
  const { out, signal } = checkOptions(options, forwardOptionNames);
  return { inputs, outs: [['out', out]], signal, numbers, toResult: ([result]) => result! };
}

/** A call of tensors alone, and options behind them. @internal */
export function tensorCall(given: readonly unknown[], names: readonly string[]): Call<Tensor> {
  checkArgumentCount(given, names.length + 1, `forward(${names.join(', ')}, options)`);
  return singleResultCall(
    names.map((name, i) => [name, checkTensor(given[i], name)]),
    given[names.length] as ForwardOptions | undefined,
  );
}

/** A call with several results by their names, which `options.out` receives by the same. @internal */
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

/** The tensors of a forward. */
type CallTensors = Pick<Call<unknown>, 'inputs' | 'outs'>;

/** Forwards on one device run in order; between devices nothing waits for a tensor. */
function checkCallOrder({ inputs, outs }: CallTensors, device: string): void {
  for (const [name, tensor] of inputs) {
    if (tensor !== undefined) checkOrder(stateOf(tensor), name, device);
  }
  for (const [name, tensor] of outs) {
    if (tensor === undefined) continue;
    const { device: home, use } = stateOf(tensor);
    if (home === device && use.distantReads > 0) {
      throw new LatteError(
        'ERR_STATE',
        `${name} is still being read for another device or a file: await that first`,
      );
    }
  }
}

/** The addon's handles of a call's tensors, once the call was checked. */
function prepare(
  { inputs, outs, signal }: Call<unknown>,
  device: string,
): { inputs: NativeTensors; results: NativeTensors } {
  if (signal !== undefined && isAborted(checkSignal(signal))) throw abortError(signal);
  const handles = { inputs: handleList(inputs.length), results: handleList(outs.length) };
  for (const [i, [name, tensor]] of inputs.entries()) {
    if (tensor !== undefined) handles.inputs[i] = handleOf(stateOf(tensor), name);
  }
  for (const [i, [name, out]] of outs.entries()) {
    if (out === undefined) continue;
    const state = stateOf(checkTensor(out, name));
    handles.results[i] = handleToReadNow(state, name);
    const on = state.device;
    if (on === device) continue;
    throw new LatteError(
      'ERR_VALUE',
      `${name} must be on the layer's device, ${device}, but is on ${on}`,
    );
  }
  return handles;
}

/** Marks the tensors as in use, until the function that it returns is called. */
function hold({ inputs, outs }: CallTensors, device: string): () => void {
  const releases = inputs.flatMap(([name, tensor]) =>
    tensor ? [startReading(stateOf(tensor), name, device)] : [],
  );
  const written = outs.flatMap(([, tensor]) => (tensor ? [stateOf(tensor).use] : []));
  for (const use of written) use.writes++;
  return () => {
    for (const release of releases) release();
    for (const use of written) use.writes--;
  };
}

/** Gives back the results of a forward that failed; the outs stay the caller's. */
function disposeMade(results: NativeTensors, { outs }: CallTensors): void {
  for (const [i, [, out]] of outs.entries()) {
    if (out === undefined) disposeHandle(results[i]);
  }
}

/** What the caller gets: the outs, and new tensors over what the addon made. */
function finish<Result>(results: NativeTensors, { outs, toResult }: Call<Result>): Result {
  return toResult(outs.map(([, out], i) => out ?? wrapHandle(results[i]!)));
}
