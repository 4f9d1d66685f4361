import { checkFloatDType, type FloatDType } from '../tensor/dtype.js';
import { LatteError, show, showShape } from '../errors.js';
import { abortError, checkSignal, isAborted, onAbort } from '../abort-signal.js';
import { resolveDevice } from '../device.js';
import {
  disposeHandle,
  handleList,
  native,
  settled,
  type NativeLayer,
  type NativeParameter,
  type NativeTensors,
} from '../native.js';
import { checkArgumentCount, checkBoolean, checkEntries, checkOptions } from '../options.js';
import { handleOf, handleToReadNow } from '../tensor/state.js';
import { isTensor, stateOf, wrapHandle, type Tensor } from '../tensor/tensor.js';
import { checkOrder, startReading } from '../tensor/use.js';
import { checkTensor, type Call } from './call.js';

/** The options that every layer with weights has. */
export interface LayerOptions {
  /** 'auto' (the default), 'cpu', 'npu' or 'npu:0' … */
  device?: string;
  /** The dtype of weights and results. Default 'float32'. */
  dtype?: FloatDType;
}

/** The options of `loadStateDict`. */
export interface LoadStateDictOptions {
  /** The text before the layer's own names in the state dict: 'caption_projection.'. Default ''. */
  prefix?: string;
  /** Whether a name that the layer does not have is refused; false ignores it. Default true. */
  strict?: boolean;
}

/** Tensors by name: the weights of a layer. */
export type StateDict = Record<string, Tensor> | ReadonlyMap<string, Tensor>;

/** The names of {@link LayerOptions}. @internal */
export const layerOptionNames = ['device', 'dtype'] as const;

/** The id of the last forward with a signal, as `native.cancel` takes it. */
let lastId = 0;

/**
 * The base class of all layers. The comment of each class describes its weights, and the shapes,
 * dtypes and errors of its `forward`.
 */
export abstract class Layer<Inputs extends unknown[], Result> {
  readonly #native: NativeLayer;
  readonly #device: string;
  readonly #dtype: FloatDType;
  #disposed = false;

  /**
   * @param kind the layer's name in the addon.
   * @param given the caller's options. Only `device` and `dtype` are read and checked here.
   * @param config the other options, checked, with their defaults filled in.
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

  /** The dtype of the weights and of the results. */
  get dtype(): FloatDType {
    return this.#dtype;
  }

  /** Whether {@link dispose} was called. */
  get disposed(): boolean {
    return this.#disposed;
  }

  /** The names and shapes of the layer's weights. @internal */
  parameters(): NativeParameter[] {
    return native.parameters(this.#checkAlive());
  }

  /** Names that a state dict may have although the layer does not use them. @internal */
  protected get ignoredNames(): readonly string[] {
    return [];
  }

  /**
   * Loads new weights, and converts tensors of another floating dtype. If this throws, the layer keeps
   * the weights that it had. For an NPU the calling thread waits for the device, which is opened first
   * if it is not open.
   * @throws LatteError ERR_STATE for a missing tensor, ERR_VALUE for a name that the layer does not
   *   have (if `strict`), ERR_SHAPE, ERR_DTYPE. The message names the tensor.
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
   * Copies of the weights by name, on the cpu, in the layer's dtype.
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

  /** Frees the weights. Forwards that are under way complete; a second call does nothing. */
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
   * Computes on another thread, so that the event loop stays free.
   *
   * Forwards on one device run in the order of the calls. Inputs on another device are copied, and
   * inputs of another floating dtype are converted. The result is on the layer's device.
   * @throws LatteError (as a rejection) ERR_STATE without weights, ERR_DISPOSED, ERR_ABORTED,
   *   ERR_OUT_OF_MEMORY, ERR_DEVICE, and the errors that the comment of the class names.
   */
  async forward(...inputs: Inputs): Promise<Result> {
    return this.run(this.call(inputs));
  }

  /**
   * The steps of a plan: each of S timesteps with all rows of the other conditions. These are embedded
   * once; only the merged product of an NPU's sizes embeds them with each row. The results have S·rows rows, step by step. Layers without such conditions ignore `rows`.
   * @param rows of the other conditions; one of them may have one row.
   * @internal
   */
  async forwardSteps(rows: number, ...inputs: Inputs): Promise<Result> {
    const call = this.call(inputs);
    return this.run({ ...call, numbers: { ...call.numbers, rowsPerStep: rows } });
  }

  /**
   * Like {@link forward}, but the calling thread computes, or waits for the NPU that does. For small
   * work on the cpu.
   */
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
        // An error thrown by an event listener would end the process. The forward then runs to its end.
      }
    };
    const release = countUses(call, this.#device);
    let unsubscribe: (() => void) | undefined;
    try {
      unsubscribe = signal && onAbort(signal, cancel);
      await settled(native.forward(layer, inputs, results, call.numbers, id));
      // Our listener is not called if another one called event.stopImmediatePropagation().
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
      unsubscribe?.();
    }
  }
}

type CallTensors = Pick<Call<unknown>, 'inputs' | 'outs'>;

/**
 * Refuses tensors whose other users run in no defined order with this forward. Only the forwards of
 * one device run in order.
 * @throws LatteError ERR_STATE.
 */
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

/** Checks the signal and the tensors of a call, and returns the tensors' handles for the addon. */
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
    if (state.device === device) continue;
    throw new LatteError(
      'ERR_VALUE',
      `${name} must be on the layer's device, ${device}, but is on ${state.device}`,
    );
  }
  return handles;
}

/**
 * Counts a forward as a reader of its inputs and a writer of its outs.
 * @returns a function to call once the forward has settled.
 */
function countUses({ inputs, outs }: CallTensors, device: string): () => void {
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

/** Disposes the results that the addon made for a forward that failed, but not the caller's outs. */
function disposeMade(results: NativeTensors, { outs }: CallTensors): void {
  for (const [i, [, out]] of outs.entries()) {
    if (out === undefined) disposeHandle(results[i]);
  }
}

/** Makes the return value of a forward: of the caller's outs, and of tensors that the addon made. */
function finish<Result>(results: NativeTensors, { outs, toResult }: Call<Result>): Result {
  return toResult(outs.map(([, out], i) => out ?? wrapHandle(results[i]!)));
}
