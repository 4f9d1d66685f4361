import { checkFloatDType, type FloatDType } from '../dtype.js';
import { LatteError, show, showShape } from '../errors.js';
import { abortError, checkSignal, isAborted, onAbort } from '../abort-signal.js';
import { resolveDevice } from '../device.js';
import {
  native,
  type NativeForwardOptions,
  type NativeJob,
  type NativeLayer,
  type NativeTensor,
} from '../native.js';
import { checkArgumentCount, checkBoolean, checkEntries, checkOptions } from '../options.js';
import {
  checkOrder,
  isTensor,
  nativeTensor,
  readableTensor,
  startReading,
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
    this.#native = new native.Layer(kind, config, this.#device, this.#dtype);
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
   * another floating dtype are converted.
   * @throws LatteError ERR_STATE for a missing tensor, ERR_VALUE for an extra one (when strict),
   *   ERR_SHAPE, ERR_DTYPE; all name it.
   */
  loadStateDict(stateDict: StateDict, options?: LoadStateDictOptions): void {
    const layer = this.checkAlive();
    checkArgumentCount(arguments, 2, 'loadStateDict(stateDict, options)');
    const { prefix = '', strict } = checkOptions(options, ['prefix', 'strict']);
    if (typeof prefix !== 'string') {
      throw new LatteError('ERR_VALUE', `prefix must be a string, but is ${show(prefix)}`);
    }
    const isStrict = checkBoolean(strict, 'strict', true);
    const given = new Map(checkEntries(stateDict, 'stateDict', 'tensors'));
    const names: string[] = [];
    const tensors: NativeTensor[] = [];
    for (const parameter of layer.parameters()) {
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
      tensors.push(readableTensor(tensor, show(name)));
    }
    for (const name of this.ignoredNames) given.delete(prefix + name);
    const extra = [...given.keys()].find((name) => name.startsWith(prefix));
    if (isStrict && extra !== undefined) {
      throw new LatteError(
        'ERR_VALUE',
        `the state dict has ${show(extra)}, which the layer does not know`,
      );
    }
    layer.load(names, tensors);
  }

  /**
   * The weights by name, on the cpu, in the layer's dtype.
   * @throws LatteError ERR_STATE where no weights were loaded, ERR_DISPOSED.
   */
  stateDict(): Record<string, Tensor> {
    checkArgumentCount(arguments, 0, 'stateDict()');
    const entries = this.checkAlive().state();
    return Object.fromEntries(entries.map(([name, tensor]) => [name, wrapTensor(tensor)]));
  }

  /** Gives the weights back; forwards that are under way complete. A second call does nothing. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#native.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  /** @internal */
  protected checkAlive(): NativeLayer {
    if (this.#disposed)
      throw new LatteError('ERR_DISPOSED', `${this.constructor.name} was disposed`);
    return this.#native;
  }

  /** Runs a forward on the calling thread. @internal */
  protected runSync(call: Call): Tensor[] {
    const layer = this.checkAlive();
    const { inputs, outs } = prepare(call, this.#device);
    for (const [name, tensor] of call.inputs) {
      if (tensor !== undefined) readableTensor(tensor, name);
    }
    for (const [name, tensor] of call.outs) {
      if (tensor !== undefined && tensorUse(tensor).reads > 0) {
        throw new LatteError('ERR_STATE', `${name} is being read by another forward`);
      }
    }
    return finish(layer.forwardSync(inputs, outs, call.numbers), call);
  }

  /** Forwards on one device run in order; between devices nothing waits for a tensor. */
  #checkOrder({ inputs, outs }: Call): void {
    for (const [name, tensor] of inputs) {
      if (tensor !== undefined) checkOrder(tensor, name, this.#device);
    }
    for (const [name, tensor] of outs) {
      if (tensor?.device === this.#device && tensorUse(tensor).distantReads > 0) {
        throw new LatteError('ERR_STATE', `${name} is still being read for another device`);
      }
    }
  }

  /** Runs a forward on another thread. @internal */
  protected async run(call: Call): Promise<Tensor[]> {
    const layer = this.checkAlive();
    const { inputs, outs } = prepare(call, this.#device);
    this.#checkOrder(call);
    const { signal } = call;
    let job: NativeJob | undefined;
    let release: (() => void) | undefined;
    const forget = signal && onAbort(signal, () => job?.cancel());
    try {
      job = layer.forward(inputs, outs, call.numbers);
      release = hold(call, this.#device);
      return finish(await job.promise, call);
    } catch (error) {
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
      forget?.();
      release?.();
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

function prepare(
  { inputs, outs, signal }: Call,
  device: string,
): { inputs: (NativeTensor | undefined)[]; outs: (NativeTensor | undefined)[] } {
  if (signal !== undefined && isAborted(checkSignal(signal))) throw abortError(signal);
  return {
    inputs: inputs.map(([name, tensor]) => tensor && nativeTensor(tensor, name)),
    outs: outs.map(([name, tensor]) => {
      if (tensor === undefined) return undefined;
      const handle = readableTensor(checkTensor(tensor, name), name);
      if (tensor.device === device) return handle;
      throw new LatteError(
        'ERR_VALUE',
        `${name} must be on the layer's device, ${device}, but is on ${tensor.device}`,
      );
    }),
  };
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

function finish(results: NativeTensor[], { outs }: Call): Tensor[] {
  // A result that went into an out comes back as a hole.
  return outs.map(([, out], i) => out ?? wrapTensor(results[i]!));
}
