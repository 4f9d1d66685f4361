import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { DType, TensorData } from './dtype.js';
import { LatteError } from './errors.js';

/**
 * What the addon gives to TypeScript. The facade has already checked types and options when it
 * calls in; the addon checks shapes, and cheaply checks everything that could harm the process.
 * @internal
 */
export interface NativeTensor {
  readonly dtype: DType;
  readonly shape: number[];
  readonly device: string;
  /** The address in the device's memory; for tensors on an NPU alone. */
  readonly devicePointer: bigint;
  /** The tensor's own memory as an ArrayBuffer, handed out once: callers keep it. Only for tensors that own their memory. */
  arrayBuffer(): ArrayBuffer;
  /** Another tensor over the same memory. */
  alias(): NativeTensor;
  /** The rows [begin, begin + count) of the first axis, over the same memory. */
  rows(begin: number, count: number): NativeTensor;
  /** Gives the memory back now; `buffer` is the ArrayBuffer that was handed out, which it detaches. */
  dispose(buffer?: ArrayBuffer): void;
}

/** @internal */
export interface NativeParameter {
  name: string;
  shape: number[];
  required: boolean;
}

/** A forward that is under way, as `forward` needs it to cancel. @internal */
export interface NativeJob {
  readonly promise: Promise<NativeTensor[]>;
  /** Rejects a job that waits at once, and one that runs at its next piece of work. */
  cancel(): void;
}

/** @internal */
export type NativeInputs = readonly (NativeTensor | undefined)[];

/** Numbers that a forward takes beside its tensors. @internal */
export interface NativeForwardOptions {
  batchSize?: number;
  hiddenDtype?: DType;
}

/** @internal */
export interface NativeLayer {
  parameters(): NativeParameter[];
  load(names: string[], tensors: NativeTensor[]): void;
  state(): [string, NativeTensor][];
  /** One call a forward. `outs[i]` undefined: the addon allocates. */
  forwardSync(
    inputs: NativeInputs,
    outs: NativeInputs,
    options: NativeForwardOptions | undefined,
  ): NativeTensor[];
  forward(
    inputs: NativeInputs,
    outs: NativeInputs,
    options: NativeForwardOptions | undefined,
  ): NativeJob;
  dispose(): void;
}

/** @internal */
export interface NativeModule {
  setErrorClass(constructor: typeof LatteError): void;
  Tensor: {
    /** A tensor over memory that the caller owns. */
    new (dtype: DType, shape: number[], data: TensorData): NativeTensor;
  };
  Layer: {
    new (kind: string, options: Record<string, unknown>, device: string, dtype: DType): NativeLayer;
  };
  zeros(dtype: DType, shape: number[], device: string): NativeTensor;
  /** A copy of another dtype and device. */
  convertSync(tensor: NativeTensor, dtype: DType, device: string): NativeTensor;
  convert(tensor: NativeTensor, dtype: DType, device: string): NativeJob;
  /** Each row of the first axis `times` times, on the tensor's device. */
  repeatRows(tensor: NativeTensor, times: number): NativeJob;
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
  sincosPosEmbed2dFromGrid(embedDim: number, grid: NativeTensor, dtype: DType): NativeTensor;
  devices(): DeviceInfo[];
  deviceDiagnostics(): NativeDiagnostics;
  memoryUsage(device: string): { live: number; pooled: number; limit: number };
}

/** What the addon knows about NPUs; texts are absent where there is nothing to say. @internal */
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
  kernelsReason?: string;
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
  /** In bytes. */
  memory: { free: number; total: number };
}

function load(): NativeModule {
  const root = join(__dirname, '..');
  const named = process.env.LATTE_ADDON;
  const candidates = named
    ? [named]
    : [
        join(root, 'build', 'Release', 'latte_embeddings.node'),
        join(root, 'build', 'Debug', 'latte_embeddings.node'),
      ];
  const tried: string[] = [];
  for (const path of candidates) {
    if (!existsSync(path)) {
      tried.push(`  ${path}: no such file`);
      continue;
    }
    const holder = { exports: {} };
    try {
      process.dlopen(holder, path);
    } catch (cause) {
      tried.push(`  ${path}: ${(cause as Error).message}`);
      continue;
    }
    const loaded = holder.exports as NativeModule;
    loaded.setErrorClass(LatteError);
    return loaded;
  }
  if (named) {
    throw new LatteError(
      'ERR_VALUE',
      `the environment variable LATTE_ADDON must name a build of the addon; tried:\n${tried.join('\n')}`,
    );
  }
  throw new LatteError(
    'ERR_STATE',
    [
      `latte-embeddings could not load its native addon (Node ${process.version}, ${process.platform} ${process.arch}).`,
      'Tried:',
      ...tried,
      'Build it with: npm rebuild latte-embeddings   (needs CMake, a C++20 compiler and Highway, e.g. apt-get install cmake g++ libhwy-dev)',
    ].join('\n'),
  );
}

/** @internal */
export const native: NativeModule = load();
