import { findAddon, loadAdvice } from './addon.js';
import type { DType, TensorData } from './tensor/dtype.js';
import { LatteError } from './errors.js';

declare const kind: unique symbol;

/**
 * The addon's handle of a tensor: an object without methods, for the functions of {@link native}.
 *
 * Handles are kept from programs: no public object has one as a property, and no built-in that a
 * program may have replaced receives one.
 * @internal
 */
export interface NativeTensor {
  readonly [kind]: 'tensor';
}

/** The addon's handle of a layer, as {@link NativeTensor}. @internal */
export interface NativeLayer {
  readonly [kind]: 'layer';
}

/** A list of handles; {@link handleList} makes one. @internal */
export type NativeTensors = (NativeTensor | undefined)[];

/** A weight of a layer; a weight that is not `required` may be missing in a state dict. @internal */
export interface NativeParameter {
  name: string;
  shape: number[];
  required: boolean;
}

/** What a forward takes beside its tensors. @internal */
export interface NativeForwardOptions {
  batchSize?: number;
  hiddenDtype?: DType;
  timestepSeqLen?: number;
  /** Of a plan: see {@link Layer.forwardSteps}. */
  rowsPerStep?: number;
}

/**
 * The functions of the addon. lib/ checks types and options before it calls them. The addon checks
 * shapes and handles, and checks again, cheaply, everything that could harm the process.
 *
 * `results` is a list of outputs. The addon puts a new handle where an element is undefined, and
 * writes into the memory of the handles that are there. A promise resolves once that memory holds
 * the values. It resolves with undefined, not with the handles: JavaScript reads `then` of an object
 * that a promise resolves with, and a program may have put a `then` on a prototype.
 * @internal
 */
export interface NativeModule {
  setErrorClass(constructor: typeof LatteError): void;
  /** Throws ERR_VALUE if an environment variable of the package has a value that it cannot have. */
  checkSettings(): void;
  /** A tensor over memory that the caller owns. */
  tensorFrom(dtype: DType, shape: number[], data: TensorData): NativeTensor;
  tensorDType(tensor: NativeTensor): DType;
  tensorShape(tensor: NativeTensor): number[];
  tensorDevice(tensor: NativeTensor): string;
  /** The address in the device's memory. The tensor must be on an NPU. */
  devicePointer(tensor: NativeTensor): bigint;
  /**
   * An ArrayBuffer over the memory of a tensor on the cpu that owns its memory. Some runtimes
   * (Electron) allow no ArrayBuffer over an addon's memory: there the elements move to one of the
   * runtime's own.
   * @param written whether a forward writes the tensor now; such a move then throws ERR_STATE.
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
  /** @param id the number to give {@link cancel}; 0 if nobody will cancel the forward. */
  forward(
    layer: NativeLayer,
    inputs: NativeTensors,
    results: NativeTensors,
    options: NativeForwardOptions | undefined,
    id: number,
  ): Promise<void>;
  /**
   * Rejects a forward with ERR_ABORTED. A forward that waits, for its device or for a copy from another
   * one, is rejected at once. A forward that runs is rejected when it stops: on the cpu within its
   * operation, on an NPU after the operations that were launched.
   */
  cancel(id: number): void;
  zeros(dtype: DType, shape: number[], device: string): NativeTensor;
  /** A copy in a dtype and on a device; the calling thread waits for it. */
  convertSync(tensor: NativeTensor, dtype: DType, device: string, results: NativeTensors): void;
  convert(
    tensor: NativeTensor,
    dtype: DType,
    device: string,
    results: NativeTensors,
  ): Promise<void>;
  /** A tensor with each row of the first axis `times` times in a row: a, a, b, b. */
  repeatRows(tensor: NativeTensor, times: number, results: NativeTensors): Promise<void>;
  /** A tensor over memory of a device that another addon owns; work on it waits for `event`. */
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

/** The fields of `DeviceDiagnostics` that the addon knows; an empty text is left out. @internal */
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
   * In bytes; undefined for an NPU that is not open. `devices()` does not wait for an NPU: its `free`
   * is the value that was read at the previous call, or when the device was opened.
   */
  memory?: { free: number; total: number };
}

const found = findAddon();

/** The path of the loaded addon; undefined if a bundler has renamed the file. @internal */
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
 * A list of `length` undefined elements. It has no prototype, so that no setter or method that a
 * program put on Array.prototype receives a handle. So it has no iterator either: index it.
 * @internal
 */
export function handleList(length: number): NativeTensors {
  const handles = new Array<NativeTensor | undefined>(length);
  setPrototypeOf(handles, null);
  for (let i = 0; i < length; i++) handles[i] = undefined;
  return handles;
}

/**
 * Frees the memory of a result whose work failed, so that no caller gets it. Never throws: memory
 * that cannot be freed now is freed when the handle is collected.
 * @internal
 */
export function disposeHandle(handle: NativeTensor | undefined): void {
  if (handle === undefined) return;
  try {
    native.disposeTensor(handle);
  } catch {
    // The caller throws the error of the failed work, which tells more than this one.
  }
}

const ownConstructor: PropertyDescriptor = { value: Promise };
setPrototypeOf(ownConstructor, null);

/**
 * Waits for a promise of the addon. After a rejection the `results` of the call are not valid.
 * @internal
 */
export async function settled(promise: Promise<void>): Promise<void> {
  // `await` reads the promise's `constructor`, which a program may have replaced on the prototype.
  defineProperty(promise, 'constructor', ownConstructor);
  await promise;
}
