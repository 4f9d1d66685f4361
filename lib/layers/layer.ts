import { checkFloatDType, type FloatDType } from '../dtype.js';
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
  type NativeTensors,
} from '../native.js';
import { checkArgumentCount, checkBoolean, checkEntries, checkOptions } from '../options.js';
import {
  checkOrder,
  isTensor,
  nativeTensor,
  readableTensor,
  startReading,
  tensorDevice,
  tensorUse,
  wrapTensor,
  type Tensor,
} from '../tensor.js';

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

/** One forward, as a layer describes it to {@link Layer.run}. @internal */
export interface Call {
  inputs: [name: string, tensor: Tensor | undefined][];
  /** A tensor for each result, or undefined for one to be made. */
  outs: [name: string, tensor: Tensor | undefined][];
  signal: AbortSignal | undefined;
  /** Numbers beside the tensors. */
  numbers?: NativeForwardOptions;
}

/** The names in {@link LayerOptions}, for the layers' checks. @internal */
export const layerOptionNames = ['device', 'dtype'] as const;

/** The number of the last forward that can be cancelled. */
let lastId = 0;

/** What all layers have in common. */
export abstract class Layer {
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

  /** Names in a state dict that the layer knows and does not need. @internal */
  protected get ignoredNames(): readonly string[] {
    return [];
  }

  /**
   * Takes new weights; where anything is wrong with them the layer keeps its old ones. Tensors of
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
      tensors[names.length - 1] = readableTensor(tensor, show(name));
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
   * @throws LatteError ERR_STATE where no weights were loaded, ERR_DISPOSED.
   */
  stateDict(): Record<string, Tensor> {
    checkArgumentCount(arguments, 0, 'stateDict()');
    const entries = native.state(this.#checkAlive());
    const tensors: [name: string, tensor: Tensor][] = [];
    try {
      // By index: iterating would give the handles to the iterator of arrays, which can be replaced.
      for (let i = 0; i < entries.length; i++) {
        const entry = entries[i]!;
        tensors.push([entry[0], wrapTensor(entry[1])]);
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

  /** Runs a forward on the calling thread. @internal */
  protected runSync(call: Call): Tensor[] {
    const layer = this.#checkAlive();
    const { inputs, results } = prepare(call, this.#device);
    for (const [name, tensor] of call.inputs) {
      if (tensor !== undefined) readableTensor(tensor, name);
    }
    for (const [name, tensor] of call.outs) {
      if (tensor !== undefined && tensorUse(tensor).reads > 0) {
        throw new LatteError('ERR_STATE', `${name} is still being read: await that first`);
      }
    }
    try {
      native.forwardSync(layer, inputs, results, call.numbers);
      return finish(results, call);
    } catch (error) {
      disposeMade(results, call);
      throw error;
    }
  }

  /** Forwards on one device run in order; between devices nothing waits for a tensor. */
  #checkOrder({ inputs, outs }: Call): void {
    for (const [name, tensor] of inputs) {
      if (tensor !== undefined) checkOrder(tensor, name, this.#device);
    }
    for (const [name, tensor] of outs) {
      if (
        tensor !== undefined &&
        tensorDevice(tensor) === this.#device &&
        tensorUse(tensor).distantReads > 0
      ) {
        throw new LatteError(
          'ERR_STATE',
          `${name} is still being read for another device or a file: await that first`,
        );
      }
    }
  }

  /** Runs a forward on another thread. @internal */
  protected async run(call: Call): Promise<Tensor[]> {
    const layer = this.#checkAlive();
    const { inputs, results } = prepare(call, this.#device);
    this.#checkOrder(call);
    const { signal } = call;
    const id = signal === undefined ? 0 : ++lastId;
    const cancel = (): void => {
      try {
        native.cancel(id);
      } catch {
        // A listener has nobody to throw to: the forward goes on.
      }
    };
    // Marked before anything starts, and released whatever happens.
    const release = hold(call, this.#device);
    let forget: (() => void) | undefined;
    try {
      forget = signal && onAbort(signal, cancel);
      await settled(native.forward(layer, inputs, results, call.numbers, id));
      // Another listener of the signal may have kept the event from ours.
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

/** Checks the rank and says what was expected. @internal */
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

/** The common part of most calls: one result, called `out`. @internal */
export function callOf(
  inputs: Call['inputs'],
  options: ForwardOptions | undefined,
  numbers?: NativeForwardOptions,
): Call {
  const { out, signal } = checkOptions(options, forwardOptionNames);
  return { inputs, outs: [['out', out]], signal, numbers };
}

/** The addon's handles of a call's tensors, once the call was checked. */
function prepare(
  { inputs, outs, signal }: Call,
  device: string,
): { inputs: NativeTensors; results: NativeTensors } {
  if (signal !== undefined && isAborted(checkSignal(signal))) throw abortError(signal);
  const handles = { inputs: handleList(inputs.length), results: handleList(outs.length) };
  for (const [i, [name, tensor]] of inputs.entries()) {
    if (tensor !== undefined) handles.inputs[i] = nativeTensor(tensor, name);
  }
  for (const [i, [name, out]] of outs.entries()) {
    if (out === undefined) continue;
    handles.results[i] = readableTensor(checkTensor(out, name), name);
    const on = tensorDevice(out);
    if (on === device) continue;
    throw new LatteError(
      'ERR_VALUE',
      `${name} must be on the layer's device, ${device}, but is on ${on}`,
    );
  }
  return handles;
}

/** Marks the call's tensors as in use, until the function that it gives is called. */
function hold({ inputs, outs }: Call, device: string): () => void {
  const releases = inputs.flatMap(([name, tensor]) =>
    tensor ? [startReading(tensor, name, device)] : [],
  );
  const written = outs.flatMap(([, tensor]) => (tensor ? [tensorUse(tensor)] : []));
  for (const use of written) use.writes++;
  return () => {
    for (const release of releases) release();
    for (const use of written) use.writes--;
  };
}

/** Gives back the results of a forward that failed; the outs stay the caller's. */
function disposeMade(results: NativeTensors, { outs }: Call): void {
  for (const [i, [, out]] of outs.entries()) {
    if (out === undefined) disposeHandle(results[i]);
  }
}

/** The tensors of a forward's results: the outs, and new ones for what the addon made. */
function finish(results: NativeTensors, { outs }: Call): Tensor[] {
  const tensors: Tensor[] = [];
  for (const [i, [, out]] of outs.entries()) tensors.push(out ?? wrapTensor(results[i]!));
  // A promise that resolves with this asks it for `then`: a getter on Array.prototype stays out.
  return Object.defineProperty(tensors, 'then', { value: undefined });
}
