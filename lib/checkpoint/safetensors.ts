import { dirname, join, posix, win32 } from 'node:path';
import { show, showShape, LatteError } from '../errors.js';
import { CheckpointFile, showName } from './file.js';
import { JsonReader } from './json-reader.js';
import { bitWidth, storedBytes, type StoredDType, type StoredTensor } from './stored-tensor.js';

/** The format's own limit; nothing larger is allocated for a header, whatever the file says. */
export const maxHeaderBytes = 100_000_000;

/** Of one tensor: three are known, later versions of the format may add some. */
const maxFields = 64;

// Every dtype that the safetensors library knows, those that a Tensor cannot hold included:
// a checkpoint may have them among the tensors that nobody asks for.
const dtypes = new Map<string, Exclude<StoredDType, 'string'>>([
  ['F64', 'float64'],
  ['F32', 'float32'],
  ['F16', 'float16'],
  ['BF16', 'bfloat16'],
  ['I64', 'int64'],
  ['I32', 'int32'],
  ['I16', 'int16'],
  ['I8', 'int8'],
  ['U64', 'uint64'],
  ['U32', 'uint32'],
  ['U16', 'uint16'],
  ['U8', 'uint8'],
  ['BOOL', 'bool'],
  ['C64', 'complex64'],
  ['F8_E4M3', 'float8_e4m3'],
  ['F8_E5M2', 'float8_e5m2'],
  ['F8_E8M0', 'float8_e8m0'],
  ['F8_E4M3FNUZ', 'float8_e4m3fnuz'],
  ['F8_E5M2FNUZ', 'float8_e5m2fnuz'],
  ['F6_E2M3', 'float6_e2m3'],
  ['F6_E3M2', 'float6_e3m2'],
  ['F4', 'float4'],
]);

/** What the readers find in a checkpoint. @internal */
export interface CheckpointContents {
  readonly files: readonly CheckpointFile[];
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  readonly metadata: ReadonlyMap<string, string>;
}

/**
 * Reads and checks the header of a .safetensors file: 8 bytes little-endian header length, the
 * header (JSON), then the tensors one after the other without a gap.
 * @throws LatteError ERR_CHECKPOINT for everything that the format forbids.
 * @internal
 */
export async function readSafetensors(path: string): Promise<CheckpointContents> {
  const file = await CheckpointFile.open(path);
  try {
    const header = await readHeader(file);
    const { tensors, metadata } = parseHeader(file, header);
    await file.checkUnchanged();
    return { files: [file], tensors, metadata };
  } catch (error) {
    await file.close();
    throw error;
  }
}

async function readHeader(file: CheckpointFile): Promise<Buffer> {
  if (file.size < 8) {
    throw file.fail(
      `is no safetensors file: 8 bytes of header length were expected, but it has ${file.size} bytes`,
    );
  }
  const prefix = Buffer.alloc(8);
  await file.read(0, prefix);
  const length = prefix.readBigUInt64LE();
  if (length > maxHeaderBytes) {
    throw file.fail(`header length is ${length}, but may be ${maxHeaderBytes} at the most`);
  }
  if (length > file.size - 8) {
    throw file.fail(`header length is ${length}, but only ${file.size - 8} bytes follow it`);
  }
  const header = Buffer.alloc(Number(length));
  await file.read(8, header);
  return header;
}

function parseHeader(
  file: CheckpointFile,
  header: Buffer,
): { tensors: Map<string, StoredTensor>; metadata: Map<string, string> } {
  const reader = new JsonReader(header, (message) => file.fail(`header: ${message}`));
  const dataStart = 8 + header.length;
  const tensors = new Map<string, StoredTensor>();
  let metadata: Map<string, string> | undefined;
  reader.object('the header', (name) => {
    if (name === '__metadata__') {
      if (metadata !== undefined) throw reader.fail('__metadata__ is there twice');
      metadata = readMetadata(reader);
      return;
    }
    if (tensors.has(name)) throw reader.fail(`tensor ${showName(name)} is there twice`);
    tensors.set(name, readEntry(reader, file, name, dataStart));
  });
  reader.end();
  checkLayout(file, tensors, dataStart);
  return { tensors, metadata: metadata ?? new Map<string, string>() };
}

function readMetadata(reader: JsonReader): Map<string, string> {
  const metadata = new Map<string, string>();
  // The reference library reads null as no metadata.
  if (reader.null()) return metadata;
  reader.object('__metadata__', (key) => {
    if (metadata.has(key)) throw reader.fail(`__metadata__ has ${showName(key)} twice`);
    metadata.set(key, reader.string(`__metadata__ ${showName(key)}`));
  });
  return metadata;
}

function readEntry(
  reader: JsonReader,
  file: CheckpointFile,
  name: string,
  dataStart: number,
): StoredTensor {
  const tensor = `tensor ${showName(name)}`;
  let dtype: Exclude<StoredDType, 'string'> | undefined;
  let shape: number[] | undefined;
  let offsets: number[] | undefined;
  const seen: string[] = [];
  reader.object(tensor, (field) => {
    if (seen.includes(field)) throw reader.fail(`${tensor} has the field ${showName(field)} twice`);
    if (seen.push(field) > maxFields)
      throw reader.fail(`${tensor} has more than ${maxFields} fields`);
    if (field === 'dtype') {
      const given = reader.string(`${tensor}: dtype`);
      dtype = dtypes.get(given);
      if (dtype === undefined) throw reader.fail(`${tensor}: dtype ${show(given)} is unknown`);
    } else if (field === 'shape') {
      const lengths: number[] = [];
      reader.array(`${tensor}: shape`, () =>
        lengths.push(reader.wholeNumber(`${tensor}: shape`, lengths.length)),
      );
      shape = lengths;
    } else if (field === 'data_offsets') {
      const pair: number[] = [];
      reader.array(`${tensor}: data_offsets`, () => {
        if (pair.length === 2) throw reader.fail(`${tensor}: data_offsets must be two numbers`);
        pair.push(reader.wholeNumber(`${tensor}: data_offsets`, pair.length));
      });
      if (pair.length !== 2) throw reader.fail(`${tensor}: data_offsets must be two numbers`);
      offsets = pair;
    } else {
      reader.skip(`${tensor}: ${showName(field)}`);
    }
  });
  const missing =
    dtype === undefined
      ? 'dtype'
      : shape === undefined
        ? 'shape'
        : offsets === undefined
          ? 'data_offsets'
          : undefined;
  if (missing !== undefined) throw reader.fail(`${tensor} has no ${missing}`);
  const [begin, end] = offsets as unknown as [number, number];
  if (end < begin) throw reader.fail(`${tensor}: data_offsets [${begin}, ${end}] run backwards`);
  const bytes = storedBytes(shape!, bitWidth[dtype!]);
  if (bytes === 'overflow')
    throw reader.fail(`${tensor}: the product of shape ${shortShape(shape!)} overflows`);
  if (bytes !== end - begin) {
    throw reader.fail(
      `${tensor}: data_offsets [${begin}, ${end}] span ${end - begin} bytes, but ${dtype} of shape ${shortShape(shape!)} takes ` +
        (bytes === 'fraction' ? 'no whole number of bytes' : String(bytes)),
    );
  }
  return { file, dtype: dtype!, shape: shape!, parts: [dataStart + begin, end - begin] };
}

/** Messages stay short however many axes a hostile header names. */
function shortShape(shape: readonly number[]): string {
  return shape.length > 8 ? `[${shape.slice(0, 8).join(', ')}, …]` : showShape(shape);
}

/** The tensors must lie end to end from the header to the end of the file. */
function checkLayout(
  file: CheckpointFile,
  tensors: ReadonlyMap<string, StoredTensor>,
  dataStart: number,
): void {
  const order = [...tensors].sort(
    ([, a], [, b]) => a.parts[0]! - b.parts[0]! || a.parts[1]! - b.parts[1]!,
  );
  let previous = 'the header';
  let position = dataStart;
  for (const [name, { parts }] of order) {
    const [begin, length] = parts as [number, number];
    const tensor = `tensor ${showName(name)}`;
    if (begin !== position) {
      throw file.fail(
        begin < position
          ? `${tensor}: data_offsets overlap those of ${previous}`
          : `${tensor}: data_offsets leave a hole of ${begin - position} bytes after ${previous}`,
      );
    }
    position = begin + length;
    if (position > file.size) {
      throw file.fail(
        `${tensor}: data_offsets end ${position - file.size} bytes past the end of the file (${file.size} bytes)`,
      );
    }
    previous = tensor;
  }
  if (position !== file.size) {
    throw file.fail(
      `${file.size - position} bytes follow ${tensors.size === 0 ? 'the header' : 'the last tensor'}`,
    );
  }
}

/**
 * Opens every shard that a *.safetensors.index.json names, and checks that each tensor is where the
 * index says. Symbolic links are followed (Hugging Face's cache is made of them); names are not let
 * out of the index's folder.
 * @throws LatteError ERR_CHECKPOINT.
 * @internal
 */
export async function readShardedSafetensors(path: string): Promise<CheckpointContents> {
  const shardOf = await readIndex(path);
  const shards = new Map<string, CheckpointContents>();
  try {
    for (const shard of new Set(shardOf.values())) {
      try {
        shards.set(shard, await readSafetensors(join(dirname(path), shard)));
      } catch (cause) {
        if (!(cause instanceof LatteError)) throw cause;
        throw new LatteError(cause.code, `${path}: shard ${showName(shard)}: ${cause.message}`, {
          path: cause.path ?? path,
          cause,
        });
      }
    }
    const tensors = new Map<string, StoredTensor>();
    for (const [name, shard] of shardOf) {
      const tensor = shards.get(shard)!.tensors.get(name);
      if (tensor === undefined) {
        throw new LatteError(
          'ERR_CHECKPOINT',
          `${path}: weight_map says that tensor ${showName(name)} is in ${showName(shard)}, but it is not`,
          { path },
        );
      }
      tensors.set(name, tensor);
    }
    return {
      files: [...shards.values()].flatMap(({ files }) => files),
      tensors,
      metadata: new Map(),
    };
  } catch (error) {
    await Promise.all(
      [...shards.values()].flatMap(({ files }) => files.map((file) => file.close())),
    );
    throw error;
  }
}

async function readIndex(path: string): Promise<Map<string, string>> {
  const file = await CheckpointFile.open(path);
  try {
    if (file.size > maxHeaderBytes)
      throw file.fail(
        `has ${file.size} bytes, but an index may have ${maxHeaderBytes} at the most`,
      );
    const bytes = Buffer.alloc(file.size);
    await file.read(0, bytes);
    const reader = new JsonReader(bytes, (message) => file.fail(message));
    let shardOf: Map<string, string> | undefined;
    reader.object('the index', (field) => {
      if (field !== 'weight_map') return reader.skip(showName(field));
      if (shardOf !== undefined) throw reader.fail('weight_map is there twice');
      const map = (shardOf = new Map<string, string>());
      reader.object('weight_map', (name) => {
        if (map.has(name)) throw reader.fail(`weight_map has tensor ${showName(name)} twice`);
        const shard = reader.string(`weight_map ${showName(name)}`);
        if (!staysInside(shard)) {
          throw reader.fail(
            `weight_map ${showName(name)} must name a file in the folder of the index, but is ${showName(shard)}`,
          );
        }
        map.set(name, shard);
      });
    });
    reader.end();
    if (shardOf === undefined) throw file.fail('has no weight_map');
    return shardOf;
  } finally {
    await file.close();
  }
}

/**
 * Whether a shard's name is a relative path without a step up, on any operating system, and the only
 * way to write that path: a file named in many ways would be opened as many times.
 */
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
