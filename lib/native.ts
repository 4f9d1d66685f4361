import { findAddon, loadAdvice } from './addon.js';
import type { DType, TensorData } from './tensor/dtype.js';
import { LatteError } from './errors.js';

declare const kind: unique symbol;

/**
 * The addon's tensors and layers: objects without methods, for the functions of {@link native}. No
 * public object has one as a property, and none passes a built-in that a program may replace.
 * @internal
 */
export interface NativeTensor {
  readonly [kind]: 'tensor';
}

/** @internal */
export interface NativeLayer {
  readonly [kind]: 'layer';
}

/** Handles, as {@link handleList} makes them. @internal */
export type NativeTensors = (NativeTensor | undefined)[];

/** @internal */
export interface NativeParameter {
  name: string;
  shape: number[];
  required: boolean;
}

/** Numbers that a forward takes beside its tensors. @internal */
export interface NativeForwardOptions {
  batchSize?: number;
  hiddenDtype?: DType;
  timestepSeqLen?: number;
}

/**
 * The functions of the addon. The facade has already checked types and options when it calls them;
 * the addon checks shapes and handles, and cheaply checks everything that could harm the process.
 *
 * `results` receives a handle for each element that is undefined; the others are written in place.
 * A promise resolves with undefined when the memory of the results holds their values: nothing that
 * a program may have put on a prototype runs on the way.
 * @internal
 */
export interface NativeModule {
  setErrorClass(constructor: typeof LatteError): void;
  /** Throws ERR_VALUE if an environment variable asks for what cannot be had. */
  checkSettings(): void;
  /** A tensor over memory that the caller owns. */
  tensorFrom(dtype: DType, shape: number[], data: TensorData): NativeTensor;
  tensorDType(tensor: NativeTensor): DType;
  tensorShape(tensor: NativeTensor): number[];
  tensorDevice(tensor: NativeTensor): string;
  /** The address in the device's memory; for tensors on an NPU alone. */
  devicePointer(tensor: NativeTensor): bigint;
  /**
   * The memory of a tensor that owns it, on the cpu. If the runtime takes no memory of others, the
   * tensor moves to an ArrayBuffer of the runtime; that is refused while a forward writes it.
   */
  arrayBuffer(tensor: NativeTensor, written: boolean): ArrayBuffer;
  /** Another tensor over the same memory. */
  alias(tensor: NativeTensor): NativeTensor;
  /** The rows [begin, begin + count) of the first axis, over the same memory. */
  rows(tensor: NativeTensor, begin: number, count: number): NativeTensor;
  /** Gives the memory back now, and detaches the ArrayBuffer over it. */
  disposeTensor(tensor: NativeTensor): void;
  createLayer(
    kind: string,
    options: Record<string, unknown>,
    device: string,
    dtype: DType,
  ): NativeLayer;
  parameters(layer: NativeLayer): NativeParameter[];
  load(layer: NativeLayer, names: string[], tensors: NativeTensors): void;
  state(layer: NativeLayer): [string, NativeTensor][];
  disposeLayer(layer: NativeLayer): void;
  forwardSync(
    layer: NativeLayer,
    inputs: NativeTensors,
    results: NativeTensors,
    options: NativeForwardOptions | undefined,
  ): void;
  /** @param id what {@link cancel} knows the forward by; 0: it cannot be cancelled. */
  forward(
    layer: NativeLayer,
    inputs: NativeTensors,
    results: NativeTensors,
    options: NativeForwardOptions | undefined,
    id: number,
  ): Promise<void>;
  /**
   * Rejects a forward at once if its device has not yet got it; one that runs, at its next operation.
   * An NPU gets a forward at once, unless copies from other devices come first: a forward that waits
   * in its queue is rejected when its turn comes.
   */
  cancel(id: number): void;
  zeros(dtype: DType, shape: number[], device: string): NativeTensor;
  /** A copy of another dtype and device. */
  convertSync(tensor: NativeTensor, dtype: DType, device: string, results: NativeTensors): void;
  convert(
    tensor: NativeTensor,
    dtype: DType,
    device: string,
    results: NativeTensors,
  ): Promise<void>;
  /** Each row of the first axis `times` times, on the tensor's device. */
  repeatRows(tensor: NativeTensor, times: number, results: NativeTensors): Promise<void>;
  /** A tensor over memory of a device that another API owns. */
  fromDevicePointer(
    pointer: bigint,
    dtype: DType,
    shape: number[],
    device: string,
    event: bigint | undefined,
  ): NativeTensor;
  sincosPosEmbedFromGrid(embedDim: number, positions: NativeTensor, dtype: DType): NativeTensor;
  sincosPosEmbed1d(
    embedDim: number,
    length: number,
    interpolationScale: number,
    dtype: DType,
  ): NativeTensor;
  sincosPosEmbed2d(
    embedDim: number,
    gridHeight: number,
    gridWidth: number,
    extraTokens: number,
    interpolationScale: number,
    baseSize: number,
    dtype: DType,
  ): NativeTensor;
  sincosPosEmbed3d(
    embedDim: number,
    frames: number,
    gridHeight: number,
    gridWidth: number,
    spatialInterpolationScale: number,
    temporalInterpolationScale: number,
    dtype: DType,
  ): NativeTensor;
  sincosPosEmbed2dFromGrid(embedDim: number, grid: NativeTensor, dtype: DType): NativeTensor;
  devices(): DeviceInfo[];
  /** Resolves when the device is open. */
  openDevice(device: string): Promise<void>;
  deviceDiagnostics(): NativeDiagnostics;
  memoryUsage(device: string): { live: number; pooled: number; limit: number };
}

/** What the addon knows about NPUs; a text is absent if it would be empty. @internal */
export interface NativeDiagnostics {
  available: boolean;
  reason: string;
  deviceCount: number;
  libraryPath?: string;
  loaderMessage?: string;
  soc?: string;
  chipNote?: string;
  aclVersion?: string;
  kernelsPlugin: boolean;
  kernelsPluginPath?: string;
  kernelsRung?: string;
  kernelsReason?: string;
  captures?: boolean;
  captureReason?: string;
}

/** A device that layers can live on. */
export interface DeviceInfo {
  /** 'cpu', 'npu:0' … */
  name: string;
  kind: 'cpu' | 'npu';
  /** The vector instructions that the CPU's kernels use ('AVX2', 'NEON' …). */
  instructionSet?: string;
  /** How many threads the CPU's kernels use. */
  threads?: number;
  /** The NPU's chip ('Ascend910B3' …). */
  soc?: string;
  /**
   * In bytes. An NPU has it only once it is open, with `free` as its thread saw it when `devices()`
   * was last called.
   */
  memory?: { free: number; total: number };
}

const found = findAddon();

/** The file of the addon; undefined if a bundler has renamed it. @internal */
export const addonPath: string | undefined = found.path;

function load(): NativeModule {
  const loaded = found.exports as NativeModule | undefined;
  if (loaded !== undefined) {
    loaded.setErrorClass(LatteError);
    loaded.checkSettings();
    return loaded;
  }
  if (process.env.LATTE_ADDON) {
    throw new LatteError(
      'ERR_VALUE',
      `the environment variable LATTE_ADDON must name a build of the addon; tried:\n${found.tried.join('\n')}`,
    );
  }
  throw new LatteError(
    'ERR_STATE',
    [
      `latte-embeddings could not load its native addon (Node ${process.version}, ${process.platform} ${process.arch}).`,
      'Tried:',
      ...found.tried,
      ...loadAdvice(),
    ].join('\n'),
  );
}

/** @internal */
export const native: NativeModule = load();

const { defineProperty, setPrototypeOf } = Reflect;

/**
 * A list of `length` undefined elements, without a prototype: a setter or a method that a program
 * has put on Array.prototype never receives its handles. It has to be indexed, not iterated.
 * @internal
 */
export function handleList(length: number): NativeTensors {
  const handles = new Array<NativeTensor | undefined>(length);
  setPrototypeOf(handles, null);
  for (let i = 0; i < length; i++) handles[i] = undefined;
  return handles;
}

/**
 * Gives back the memory of a handle that reaches no caller, because the work behind it failed. Never
 * throws: what cannot be given back now is given back when the handle is collected.
 * @internal
 */
export function disposeHandle(handle: NativeTensor | undefined): void {
  if (handle === undefined) return;
  try {
    native.disposeTensor(handle);
  } catch {
    // The error of the work itself is the one that matters.
  }
}

const ownConstructor: PropertyDescriptor = { value: Promise };
setPrototypeOf(ownConstructor, null);

/**
 * Waits for a promise of the addon, which has no results if it is rejected.
 * @internal
 */
export async function settled(promise: Promise<void>): Promise<void> {
  // `await` asks a promise for its constructor, which a program may have replaced.
  defineProperty(promise, 'constructor', ownConstructor);
  await promise;
}
