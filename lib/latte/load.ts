import { stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Checkpoint } from '../checkpoint/checkpoint.js';
import type { LatteConfig } from '../checkpoint/config.js';
import { checkPath, checkpointError } from '../checkpoint/file.js';
import { findParameters, type FoundParameter, type LayerName } from '../checkpoint/names.js';
import { arraysOf, itemSize, type DType, type FloatDType } from '../tensor/dtype.js';
import { openDevice } from '../device.js';
import { LatteError } from '../errors.js';
import { AdaLayerNormSingle } from '../layers/ada-layer-norm-single.js';
import { CaptionProjection } from '../layers/caption-projection.js';
import { PatchEmbed } from '../layers/patch-embed.js';
import { Tensor } from '../tensor/tensor.js';

/** How far the loading of a checkpoint is. */
export interface LoadProgress {
  /** Bytes of tensors read so far. */
  loaded: number;
  /** Bytes of all tensors that will be read. */
  total: number;
  /** The tensor that was just read; absent in the first report. */
  name?: string;
}

/** @internal */
export type Layers = {
  readonly patchEmbed: PatchEmbed;
  readonly adaLayerNormSingle: AdaLayerNormSingle;
  readonly captionProjection: CaptionProjection | null;
} & Readonly<Record<LayerName, PatchEmbed | AdaLayerNormSingle | CaptionProjection | null>>;

/** What comes out of a checkpoint. @internal */
export interface Loaded {
  readonly layers: Layers;
  /**
   * [1, T, D] or [T, D] in the dtype of the file, with T frames or more, if it stores such a table.
   */
  readonly temporalTable: Tensor | undefined;
}

/** Tensors start at a multiple of this in the memory that a layer's tensors are read into. */
const alignment = 64;

/** @internal */
export interface LoadSettings {
  device: string;
  /** Of the layers; undefined for that of the patch projection's weights. */
  dtype: FloatDType | undefined;
  /** Called before each tensor; what it throws ends the loading. */
  checkAborted: () => void;
  onProgress: ((progress: LoadProgress) => void) | undefined;
}

/**
 * Makes the layers and reads their weights, one layer after the other.
 * @internal
 */
export async function loadLayers(
  checkpoint: Checkpoint,
  config: LatteConfig,
  { device, dtype, checkAborted, onProgress }: LoadSettings,
): Promise<Loaded> {
  const { parameters, tempPosEmbed } = findParameters(checkpoint, config);
  const weights = parameters.find(({ parameter }) => parameter === 'proj.weight')!;
  const layers = makeLayers(config, device, dtype ?? defaultDType(checkpoint, weights.tensor));
  let temporalTable: Tensor | undefined;
  try {
    const names = parameters.map(({ tensor }) => tensor);
    if (tempPosEmbed !== undefined) names.push(tempPosEmbed);
    const total = names.reduce((sum, name) => sum + tensorBytes(checkpoint, name), 0);
    let loaded = 0;
    const report = (name: string): void => {
      loaded += tensorBytes(checkpoint, name);
      onProgress?.({ loaded, total, name });
      checkAborted();
    };
    onProgress?.({ loaded, total });
    checkAborted();
    // loadStateDict would wait for the opening, and the event loop with it.
    await openDevice(device);
    checkAborted();
    const parts = (['patchEmbed', 'adaLayerNormSingle', 'captionProjection'] as const).map(
      (layer) => ({ layer, own: parameters.filter((parameter) => parameter.layer === layer) }),
    );
    // One layer at a time. Read into temporary memory: blocks from the tensor pool would stay
    // pooled, unused, and double the memory.
    const memory = allocate(Math.max(...parts.map(({ own }) => stagedBytes(checkpoint, own))));
    for (const { layer, own } of parts) {
      layers[layer]?.loadStateDict(await readState(checkpoint, own, memory, report));
    }
    if (tempPosEmbed !== undefined) {
      temporalTable = await checkpoint.tensor(tempPosEmbed);
      report(tempPosEmbed);
    }
    return { layers, temporalTable };
  } catch (error) {
    disposeLayers(layers);
    temporalTable?.dispose();
    throw error;
  }
}

/** @internal */
export function disposeLayers({ patchEmbed, adaLayerNormSingle, captionProjection }: Layers): void {
  patchEmbed.dispose();
  adaLayerNormSingle.dispose();
  captionProjection?.dispose();
}

/** Where config.json lies, and what to open as the checkpoint. @internal */
export async function findFolder(
  path: string,
  subfolder: string | undefined,
): Promise<{ folder: string; checkpoint: string }> {
  if (subfolder !== undefined) {
    const folder = join(path, checkPath(subfolder, 'subfolder'));
    return { folder, checkpoint: folder };
  }
  const kind = await kindOf(path);
  if (kind === undefined) throw checkpointError(path, 'does not exist, or may not be read');
  if (kind === 'file') return { folder: dirname(path), checkpoint: path };
  for (const folder of [path, join(path, 'transformer')]) {
    if ((await kindOf(join(folder, 'config.json'))) !== undefined) {
      return { folder, checkpoint: folder };
    }
  }
  throw checkpointError(path, 'has no config.json, and neither has its folder transformer');
}

async function kindOf(path: string): Promise<'file' | 'folder' | undefined> {
  try {
    return (await stat(path)).isDirectory() ? 'folder' : 'file';
  } catch {
    return undefined;
  }
}

function makeLayers(config: LatteConfig, device: string, dtype: FloatDType): Layers {
  const { innerDim, inChannels, patchSize, interpolationScale } = config;
  const [height, width] = config.sampleSize;
  const made: { dispose(): void }[] = [];
  const keep = <T extends { dispose(): void }>(layer: T): T => {
    made.push(layer);
    return layer;
  };
  try {
    return {
      patchEmbed: keep(
        new PatchEmbed({
          height,
          width,
          patchSize,
          inChannels,
          embedDim: innerDim,
          interpolationScale,
          device,
          dtype,
        }),
      ),
      adaLayerNormSingle: keep(
        new AdaLayerNormSingle({
          embeddingDim: innerDim,
          useAdditionalConditions: config.useAdditionalConditions,
          device,
          dtype,
        }),
      ),
      captionProjection:
        config.captionChannels === null
          ? null
          : keep(
              new CaptionProjection({
                inFeatures: config.captionChannels,
                hiddenSize: innerDim,
                device,
                dtype,
              }),
            ),
    };
  } catch (error) {
    for (const layer of made) layer.dispose();
    throw error;
  }
}

/** Reads the tensors of one layer side by side into `memory`. */
async function readState(
  checkpoint: Checkpoint,
  parameters: readonly FoundParameter[],
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

function stagedBytes(checkpoint: Checkpoint, parameters: readonly FoundParameter[]): number {
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

function defaultDType(checkpoint: Checkpoint, name: string): FloatDType {
  const { dtype } = checkpoint.info(name);
  return dtype === 'float16' || dtype === 'bfloat16' ? dtype : 'float32';
}
