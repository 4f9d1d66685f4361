import { dirname, join, posix, win32 } from 'node:path';
import { LatteError } from '../errors.js';
import { explain } from './file-kind.js';
import { CheckpointFile, checkpointError, showName } from './file.js';
import { JsonReader } from './json-reader.js';
import { Budget, limits } from './limits.js';
import { readContents, type CheckpointContents } from './safetensors.js';
import type { StoredTensor } from './stored-tensor.js';

/**
 * Opens every shard that an index names, and checks that each tensor is in the shard that the index
 * names for it. A file with several names is opened once. Symbolic links are followed, because Hugging
 * Face's cache consists of them. A name that leaves the index's folder is refused.
 * @throws LatteError ERR_CHECKPOINT.
 * @internal
 */
export async function readShardedSafetensors(path: string): Promise<CheckpointContents> {
  const budget = new Budget();
  const shardOf = await readIndex(path, budget);
  const opened = new Map<string, CheckpointContents>();
  try {
    const shards = new Map<string, CheckpointContents>();
    for (const shard of new Set(shardOf.values()))
      shards.set(shard, await readShard(path, shard, opened, budget));
    const tensors = new Map<string, StoredTensor>();
    for (const [name, shard] of shardOf) {
      const tensor = shards.get(shard)!.tensors.get(name);
      if (tensor === undefined) {
        throw checkpointError(
          path,
          `weight_map names ${showName(shard)} for tensor ${showName(name)}, but that shard lacks it`,
        );
      }
      tensors.set(name, tensor);
      await budget.turn();
    }
    const files = [...opened.values()].flatMap((contents) => contents.files);
    return { files, tensors, metadata: new Map() };
  } catch (error) {
    await Promise.all(
      [...opened.values()].flatMap(({ files }) => files.map((file) => file.close())),
    );
    throw error;
  }
}

/** Opens a shard. @param opened the contents of shards by their files' identity; this one is added. */
async function readShard(
  index: string,
  shard: string,
  opened: Map<string, CheckpointContents>,
  budget: Budget,
): Promise<CheckpointContents> {
  let file: CheckpointFile | undefined;
  try {
    file = await CheckpointFile.open(join(dirname(index), shard));
    const same = opened.get(file.identity);
    if (same !== undefined) {
      await file.close();
      return same;
    }
    const contents = await readContents(file, budget);
    opened.set(file.identity, contents);
    return contents;
  } catch (cause) {
    await file?.close();
    if (!(cause instanceof LatteError)) throw cause;
    const { message, path = index } = cause;
    const error = checkpointError(index, `shard ${showName(shard)}: ${message}`, cause);
    throw new LatteError(cause.code, error.message, { path, cause });
  }
}

/** Reads an index: the name of the shard of each tensor. */
async function readIndex(path: string, budget: Budget): Promise<Map<string, string>> {
  const file = await CheckpointFile.open(path);
  const fail = (message: string) => file.fail(message);
  try {
    const most = limits.directoryBytes;
    if (file.size > most)
      throw file.fail(`has ${file.size} bytes, but an index may have ${most} at the most`);
    budget.spend('directoryBytes', file.size, fail);
    const bytes = Buffer.alloc(file.size);
    await file.read(0, bytes);
    const reader = await JsonReader.open(bytes, fail, budget);
    let shardOf: Map<string, string> | undefined;
    for (const field of reader.fields('the index')) {
      if (field !== 'weight_map') {
        reader.skip(showName(field), budget);
        continue;
      }
      if (shardOf !== undefined) throw reader.fail('weight_map is there twice');
      shardOf = await readWeightMap(reader, budget);
    }
    await reader.end(budget);
    if (shardOf === undefined) throw file.fail('has no weight_map');
    return shardOf;
  } catch (error) {
    throw await explain(file, error);
  } finally {
    await file.close();
  }
}

async function readWeightMap(reader: JsonReader, budget: Budget): Promise<Map<string, string>> {
  const fail = (message: string) => reader.fail(message);
  const map = new Map<string, string>();
  // Keeps one string for each shard's name, not one for each tensor.
  const names = new Map<string, string>();
  // Counted here and not in the budget, because the shards' tensors count there.
  let count = 0;
  for (const name of reader.fields('weight_map')) {
    if (map.has(name)) throw reader.fail(`weight_map has tensor ${showName(name)} twice`);
    if (++count > limits.tensors)
      throw reader.fail(`weight_map has more than ${limits.tensors} tensors`);
    budget.spend('nameCharacters', name.length, fail);
    const shard = reader.string(`weight_map ${showName(name)}`);
    if (!names.has(shard)) {
      if (!staysInside(shard)) {
        throw reader.fail(
          `weight_map ${showName(name)} must name a file in the folder of the index, but is ${showName(shard)}`,
        );
      }
      budget.spend('shards', 1, fail);
      names.set(shard, shard);
    }
    map.set(name, names.get(shard)!);
    await budget.turn(name.length + shard.length);
  }
  return map;
}

/** Whether a shard's name is a relative path without `..`, on any operating system. */
function staysInside(shard: string): boolean {
  return (
    shard !== '' &&
    !/[\0\\]|^[a-z]:/i.test(shard) &&
    !posix.isAbsolute(shard) &&
    !win32.isAbsolute(shard) &&
    !/(^|\/)\.{0,2}\//.test(shard) &&
    !/(^|\/)\.{1,2}$/.test(shard)
  );
}
