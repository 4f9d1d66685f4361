import { join } from 'node:path';
import { show } from '../errors.js';
import { chooseLatte, type ChosenLatte, type Family } from './choose-model.js';
import { Fields } from './config-fields.js';
import { explain } from './file-kind.js';
import { CheckpointFile, reasonOf } from './file.js';
import { readLatteSizes, type LatteConfig, type ModelInfo } from './latte-config.js';

const maxConfigBytes = 1024 * 1024;

/** A parsed config.json. @internal */
export interface ConfigFile {
  readonly path: string;
  readonly raw: Record<string, unknown>;
}

/**
 * Reads the config.json of a folder, and recognises its model.
 * @param family the naming of the weights, for a configuration without `_class_name`.
 * @throws LatteError ERR_CHECKPOINT, with `path`, naming the field that is missing or wrong.
 * @internal
 */
export async function readConfig(folder: string, family?: Family): Promise<LatteConfig> {
  return interpretConfig(await readConfigFile(folder), family);
}

/** Reads and parses the config.json of a folder. @throws LatteError ERR_CHECKPOINT. @internal */
export async function readConfigFile(folder: string): Promise<ConfigFile> {
  const file = await CheckpointFile.open(join(folder, 'config.json'));
  let parsed: unknown;
  try {
    if (file.size > maxConfigBytes) {
      throw file.fail(
        `has ${file.size} bytes, but a configuration may have ${maxConfigBytes} at the most`,
      );
    }
    const bytes = Buffer.alloc(file.size);
    await file.read(0, bytes);
    try {
      parsed = JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes));
    } catch (cause) {
      throw await explain(file, file.fail(`is not JSON: ${reasonOf(cause)}`, cause));
    }
  } finally {
    await file.close();
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) {
    throw file.fail(`must hold an object, but holds ${show(parsed)}`);
  }
  return { path: file.path, raw: parsed as Record<string, unknown> };
}

/** Recognises the model of a config.json, and checks its fields. @throws LatteError ERR_CHECKPOINT. @internal */
export function interpretConfig(file: ConfigFile, family?: Family): LatteConfig {
  return latteConfig(file, chooseLatte(new Fields(file.path, file.raw), family));
}

/** Checks the fields of a chosen model's config.json. @throws LatteError ERR_CHECKPOINT. @internal */
export function latteConfig({ path, raw }: ConfigFile, { row, because }: ChosenLatte): LatteConfig {
  const fields = new Fields(path, raw);
  return Object.freeze({
    className: (fields.get('_class_name') ?? undefined) as string | undefined,
    model: describeModel(row, because),
    ...readLatteSizes(fields, row.latte),
    raw: deepFreeze(raw),
  });
}

function describeModel({ readFrom, latte }: ChosenLatte['row'], because: string): ModelInfo {
  const rules = Object.freeze({ ...latte.rules });
  return Object.freeze({ name: latte.label, readFrom, because, rules });
}

/** The whole file as parsed, frozen. @internal */
export function freezeConfig(raw: Record<string, unknown>): Readonly<Record<string, unknown>> {
  return deepFreeze(raw);
}

/** Freezes an object and all objects in it. Without recursion, because a file may nest deeply. */
function deepFreeze<T extends object>(root: T): T {
  const open: object[] = [root];
  for (let value = open.pop(); value !== undefined; value = open.pop()) {
    for (const child of Object.values(Object.freeze(value)) as unknown[]) {
      if (typeof child === 'object' && child !== null) open.push(child);
    }
  }
  return root;
}
