import { stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { abortError, checkSignal, isAborted } from '../abort-signal.js';
import { openVariant, type Checkpoint } from '../checkpoint/checkpoint.js';
import { readConfigFile, type ConfigFile } from '../checkpoint/config.js';
import { checkPath, checkpointError } from '../checkpoint/file.js';
import { resolveDevice } from '../device.js';
import { LatteError, show } from '../errors.js';
import { checkOptions } from '../options.js';
import { checkFloatDType, type FloatDType } from '../tensor/dtype.js';
import type { LoadProgress, LoadSettings } from './read.js';

/** The options of `fromPretrained`. */
export interface FromPretrainedOptions {
  /** 'auto' (the default), 'cpu', 'npu' or 'npu:0' … */
  device?: string;
  /** The layers' dtype. Default: that of the first layer's weight; float32 if that is float64. */
  dtype?: FloatDType;
  /** A folder within `folder`, for example 'transformer'. */
  subfolder?: string;
  /** Reads the files of this variant of diffusers: 'fp16' reads `….fp16.safetensors`. */
  variant?: string;
  /** If it is aborted, the promise rejects with ERR_ABORTED; files are closed and memory is freed. */
  signal?: AbortSignal;
  /** Called before the first tensor is read, and after each. If it throws, the promise rejects. */
  onProgress?: (progress: LoadProgress) => void;
}

const optionNames = ['device', 'dtype', 'subfolder', 'variant', 'signal', 'onProgress'] as const;

/**
 * Checks the options of `fromPretrained`, opens the checkpoint, calls `use`, and closes the checkpoint.
 * @returns the result of `use`.
 * @internal
 */
export async function withCheckpoint<T>(
  folder: string,
  options: FromPretrainedOptions | undefined,
  use: (checkpoint: Checkpoint, config: ConfigFile, settings: LoadSettings) => Promise<T>,
): Promise<T> {
  const given = checkOptions(options, optionNames);
  const dtype = given.dtype === undefined ? undefined : checkFloatDType(given.dtype);
  const device = resolveDevice(given.device);
  const { onProgress } = given;
  if (onProgress !== undefined && typeof onProgress !== 'function') {
    throw new LatteError('ERR_VALUE', `onProgress must be a function, but is ${show(onProgress)}`);
  }
  const variant = checkVariant(given.variant);
  const signal = given.signal === undefined ? undefined : checkSignal(given.signal);
  const checkAborted = (): void => {
    if (signal !== undefined && isAborted(signal)) throw abortError(signal, 'the loading');
  };
  checkAborted();
  const found = await findFolder(checkPath(folder, 'folder'), given.subfolder);
  const configFile = await readConfigFile(found.configFolder);
  const checkpoint = await openVariant(found.checkpoint, variant);
  try {
    return await use(checkpoint, configFile, { device, dtype, checkAborted, onProgress });
  } finally {
    await checkpoint.close();
  }
}

function checkVariant(variant: unknown): string | undefined {
  if (variant === undefined) return undefined;
  if (typeof variant === 'string' && /^[^./\\\0]+$/.test(variant)) return variant;
  throw new LatteError(
    'ERR_VALUE',
    `variant must be a name like 'fp16' (without dots), but is ${show(variant)}`,
  );
}

/** Finds the folder of config.json, and the file or folder to open as the checkpoint. */
async function findFolder(
  path: string,
  subfolder: string | undefined,
): Promise<{ configFolder: string; checkpoint: string }> {
  const inside = subfolder === undefined ? undefined : checkPath(subfolder, 'subfolder');
  const kind = await kindOf(path);
  if (kind === undefined) {
    throw checkpointError(
      path,
      'does not exist, or may not be read; nothing is downloaded, so pass a local folder',
    );
  }
  if (inside !== undefined) {
    const folder = join(path, inside);
    return { configFolder: folder, checkpoint: folder };
  }
  if (kind === 'file') return { configFolder: dirname(path), checkpoint: path };
  for (const folder of [path, join(path, 'transformer')]) {
    if ((await kindOf(join(folder, 'config.json'))) !== undefined) {
      return { configFolder: folder, checkpoint: folder };
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
