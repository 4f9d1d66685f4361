import type { Checkpoint } from '../checkpoint/checkpoint.js';
import { openDevice } from '../device.js';
import { LatteError } from '../errors.js';
import { arraysOf, itemSize, type DType, type FloatDType } from '../tensor/dtype.js';
import { Tensor } from '../tensor/tensor.js';
import type { AnyLayer, LayerParameter } from './layers.js';

/** The progress of loading a checkpoint, for `onProgress`. */
export interface LoadProgress {
  /** Bytes of tensors read so far. */
  loaded: number;
  /** Bytes of all tensors that will be read. */
  total: number;
  /** The tensor that was just read; undefined in the first report. */
  name?: string;
}

/** In the temporary memory of a layer's tensors, each tensor starts at a multiple of this. In bytes. */
const alignment = 64;

/** @internal */
export interface LoadSettings {
  device: string;
  /** The layers' dtype; undefined for that of the first layer's weight. */
  dtype: FloatDType | undefined;
  /** Throws ERR_ABORTED if the caller's signal was aborted. Called before and after each tensor. */
  checkAborted: () => void;
  onProgress: ((progress: LoadProgress) => void) | undefined;
}

/** A layer, and the tensors of its weights. @internal */
export interface LayerPart {
  readonly layer: AnyLayer;
  readonly parameters: readonly LayerParameter[];
}

/**
 * Reads the weights of the layers, one layer after the other.
 * @param extra a tensor that belongs to no layer, which is read last.
 * @returns that tensor.
 * @internal
 */
export async function readLayers(
  checkpoint: Checkpoint,
  parts: readonly LayerPart[],
  { device, checkAborted, onProgress }: LoadSettings,
  extra?: string,
): Promise<Tensor | undefined> {
  const names = parts.flatMap(({ parameters }) => parameters.map(({ tensor }) => tensor));
  if (extra !== undefined) names.push(extra);
  const total = names.reduce((sum, name) => sum + tensorBytes(checkpoint, name), 0);
  let loaded = 0;
  const report = (name: string): void => {
    loaded += tensorBytes(checkpoint, name);
    onProgress?.({ loaded, total, name });
    checkAborted();
  };
  onProgress?.({ loaded, total });
  checkAborted();
  // Open the device first: loadStateDict would open it on the calling thread, and block the event loop.
  await openDevice(device);
  checkAborted();
  // One layer at a time. Read into temporary memory: blocks from the tensor pool would stay
  // pooled, unused, and double the memory.
  const memory = allocate(
    Math.max(...parts.map(({ parameters }) => stagedBytes(checkpoint, parameters))),
  );
  for (const { layer, parameters } of parts) {
    layer.loadStateDict(await readState(checkpoint, parameters, memory, report));
  }
  if (extra === undefined) return undefined;
  const tensor = await checkpoint.tensor(extra);
  try {
    report(extra);
    return tensor;
  } catch (error) {
    tensor.dispose();
    throw error;
  }
}

/** Reads the tensors of one layer side by side into `memory`. */
async function readState(
  checkpoint: Checkpoint,
  parameters: readonly LayerParameter[],
  memory: ArrayBuffer,
  report: (name: string) => void,
): Promise<Map<string, Tensor>> {
  const state = new Map<string, Tensor>();
  let begin = 0;
  for (const { parameter, tensor: name } of parameters) {
    const { dtype, shape } = checkpoint.info(name) as { dtype: DType; shape: number[] };
    const bytes = tensorBytes(checkpoint, name);
    await checkpoint.readInto(name, new Uint8Array(memory, begin, bytes));
    const { array: TypedArray } = arraysOf(dtype);
    const data = new TypedArray(memory, begin, bytes / itemSize(dtype));
    state.set(parameter, new Tensor(dtype, data, shape));
    begin += aligned(bytes);
    report(name);
  }
  return state;
}

function stagedBytes(checkpoint: Checkpoint, parameters: readonly LayerParameter[]): number {
  return parameters.reduce((sum, { tensor }) => sum + aligned(tensorBytes(checkpoint, tensor)), 0);
}

function aligned(bytes: number): number {
  return Math.ceil(bytes / alignment) * alignment;
}

function allocate(bytes: number): ArrayBuffer {
  try {
    return new ArrayBuffer(bytes);
  } catch (cause) {
    throw new LatteError('ERR_OUT_OF_MEMORY', `no memory for ${bytes} bytes of weights`, { cause });
  }
}

function tensorBytes(checkpoint: Checkpoint, name: string): number {
  const { dtype, shape } = checkpoint.info(name);
  return shape.reduce((product, length) => product * length, itemSize(dtype as DType));
}

/** The layers' dtype if the caller names none: that of this weight, if layers can have it. @internal */
export function defaultDType(checkpoint: Checkpoint, name: string): FloatDType {
  const { dtype } = checkpoint.info(name);
  return dtype === 'float16' || dtype === 'bfloat16' ? dtype : 'float32';
}
