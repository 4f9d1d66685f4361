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

export interface FromPretrainedOptions {
  /** 'auto' by default. */
  device?: string;
  /** The layers' dtype; that of the patch projection's weights by default (float32 for float64). */
  dtype?: FloatDType;
  /** The folder within the folder, for example 'transformer'. */
  subfolder?: string;
  /** The files of this variant, as diffusers calls it: 'fp16' for `….fp16.safetensors`. */
  variant?: string;
  /** Rejects with ERR_ABORTED; nothing stays open or in memory. */
  signal?: AbortSignal;
  /** Called before the first and after each tensor. What it throws ends the loading. */
  onProgress?: (progress: LoadProgress) => void;
}

const optionNames = ['device', 'dtype', 'subfolder', 'variant', 'signal', 'onProgress'] as const;

/**
 * Checks the options of `fromPretrained`, opens the checkpoint and closes it after `use`.
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
  const place = await findFolder(checkPath(folder, 'folder'), given.subfolder);
  const configFile = await readConfigFile(place.folder);
  const checkpoint = await openVariant(place.checkpoint, variant);
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

/** Where config.json lies, and what to open as the checkpoint. */
async function findFolder(
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
