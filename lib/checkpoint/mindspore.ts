import { crc32 } from 'node:zlib';
import { isUtf8 } from 'node:buffer';
import { show } from '../errors.js';
import { explain } from './file-kind.js';
import { CheckpointFile, showName, showStoredShape } from './file.js';
import { Budget, maxAxes, maxNameBytes } from './limits.js';
import { ProtobufScanner, WireType } from './protobuf-scanner.js';
import type { CheckpointContents } from './safetensors.js';
import { bitWidth, storedBytes, type StoredDType, type StoredTensor } from './stored-tensor.js';

// The message (proto2, from MindSpore's checkpoint.proto):
//   Checkpoint  { repeated Value value = 1; }
//   Value       { required string tag = 1; oneof { TensorProto tensor = 2; MapTensorProto maptensor = 3; } }
//   TensorProto { repeated int64 dims = 1; required string tensor_type = 2; required bytes tensor_content = 3; }
// Several Checkpoint messages, one after the other, are one message with the values of all.

const dtypes = new Map<string, StoredDType>([
  ['Float64', 'float64'],
  ['Float32', 'float32'],
  ['Float16', 'float16'],
  ['BFloat16', 'bfloat16'],
  ['Int64', 'int64'],
  ['Int32', 'int32'],
  ['Int16', 'int16'],
  ['Int8', 'int8'],
  ['UInt64', 'uint64'],
  ['UInt32', 'uint32'],
  ['UInt16', 'uint16'],
  ['UInt8', 'uint8'],
  ['Bool', 'bool'],
  ['str', 'string'],
]);

const trailerMark = Buffer.from('crc_num');
const trailerBytes = 17;
const pieceBytes = 1024 * 1024;

// The first four bytes of an encrypted file, little-endian: AES-GCM, AES-CBC and SM4-CBC.
const cipherMarks = new Set([0x7f3a5ed8, 0x7f3a5ed9, 0x7f3a5eda]);

/** An entry of the file; one tensor may be split over several. */
interface Entry {
  readonly tag: string;
  readonly type: string;
  readonly dims: readonly number[];
  /** Position and length of each part's content in turn. */
  readonly parts: number[];
  bytes: number;
}

/**
 * Reads the directory of a MindSpore .ckpt file, without the tensors' contents. Only a file that ends
 * with a checksum (`save_checkpoint` with `crc_check=True`) is read as a whole, in pieces, to verify it.
 * @throws LatteError ERR_CHECKPOINT for a file that is malformed or encrypted, or has a map tensor.
 * @internal
 */
export async function readMindSpore(path: string): Promise<CheckpointContents> {
  const file = await CheckpointFile.open(path);
  const budget = new Budget();
  try {
    await refuseEncrypted(file);
    const entries = await readEntries(file, budget);
    const tensors = new Map<string, StoredTensor>();
    for (const entry of entries) {
      tensors.set(entry.tag, storedTensor(file, entry));
      await budget.turn();
    }
    await file.checkUnchanged();
    return { files: [file], tensors, metadata: new Map() };
  } catch (error) {
    const explained = await explain(file, error);
    await file.close();
    throw explained;
  }
}

async function refuseEncrypted(file: CheckpointFile): Promise<void> {
  if (file.size < 4) return;
  const start = Buffer.alloc(4);
  await file.read(0, start);
  if (cipherMarks.has(start.readUInt32LE()) || cipherMarks.has(start.readUInt32BE())) {
    throw file.fail(
      'is encrypted; save it again without enc_key, encrypted checkpoints cannot be read here',
    );
  }
}

async function readEntries(file: CheckpointFile, budget: Budget): Promise<Entry[]> {
  const scanner = new ProtobufScanner(file, budget);
  const fail = (message: string) => file.fail(message);
  const entries: Entry[] = [];
  const tags = new Set<string>();
  while (scanner.position < file.size) {
    if (
      file.size - scanner.position === trailerBytes &&
      (await scanner.peek(trailerMark.length)).equals(trailerMark)
    ) {
      await verifyTrailer(file);
      break;
    }
    const { field, wire } = await scanner.key('Checkpoint', file.size);
    if (field !== 1) {
      await scanner.skip(`Checkpoint: field ${field}`, wire, file.size);
      continue;
    }
    const end = await scanner.block('Checkpoint.value', wire, file.size);
    const entry = await readValue(scanner, file, end);
    budget.spend('tensors', 1, fail);
    const last = entries.at(-1);
    if (last?.tag === entry.tag) {
      join(file, last, entry);
    } else {
      if (tags.has(entry.tag)) throw file.fail(`tensor ${showName(entry.tag)} is there twice`);
      budget.spend('nameCharacters', entry.tag.length, fail);
      tags.add(entry.tag);
      entries.push(entry);
    }
    await budget.turn(entry.tag.length);
  }
  if (entries.length === 0)
    throw file.fail('holds no tensors: it is no MindSpore checkpoint, or an empty one');
  return entries;
}

async function readValue(
  scanner: ProtobufScanner,
  file: CheckpointFile,
  end: number,
): Promise<Entry> {
  const start = scanner.position;
  let tag: string | undefined;
  let tensor: Omit<Entry, 'tag'> | undefined;
  while (scanner.position < end) {
    const what = `Value ${tag === undefined ? `at byte ${start}` : showName(tag)}`;
    const { field, wire } = await scanner.key(what, end);
    if (field === 1) {
      if (tag !== undefined) throw file.fail(`${what} has two tags`);
      tag = await readString(scanner, file, `${what}: tag`, wire, end, maxNameBytes);
    } else if (field === 2) {
      if (tensor !== undefined) throw file.fail(`${what} has two tensors`);
      tensor = await readTensor(
        scanner,
        file,
        what,
        await scanner.block(`${what}: tensor`, wire, end),
      );
    } else if (field === 3) {
      throw file.fail(
        `${what} is a maptensor (a parameter of a hash map), which cannot be read here`,
      );
    } else {
      await scanner.skip(`${what}: field ${field}`, wire, end);
    }
  }
  if (tag === undefined) throw file.fail(`Value at byte ${start} has no tag`);
  if (tensor === undefined) throw file.fail(`Value ${showName(tag)} has no tensor`);
  return { tag, ...tensor };
}

async function readTensor(
  scanner: ProtobufScanner,
  file: CheckpointFile,
  value: string,
  end: number,
): Promise<Omit<Entry, 'tag'>> {
  const dims: number[] = [];
  let type: string | undefined;
  let content: [number, number] | undefined;
  while (scanner.position < end) {
    const { field, wire } = await scanner.key(`${value}: tensor`, end);
    if (field === 1) {
      const packed = wire === WireType.Block;
      if (!packed && wire !== WireType.Varint)
        throw file.fail(`${value}: dims have wire type ${wire}`);
      const dimsEnd = packed ? await scanner.block(`${value}: dims`, wire, end) : undefined;
      while (dimsEnd === undefined || scanner.position < dimsEnd) {
        if (dims.length === maxAxes)
          throw file.fail(`${value}: dims has more than ${maxAxes} axes`);
        dims.push(await scanner.varint(`${value}: dims[${dims.length}]`, dimsEnd ?? end));
        if (dimsEnd === undefined) break;
      }
    } else if (field === 2) {
      if (type !== undefined) throw file.fail(`${value}: tensor_type is there twice`);
      type = await readString(scanner, file, `${value}: tensor_type`, wire, end, maxNameBytes);
      if (!dtypes.has(type)) throw file.fail(`${value}: tensor_type ${show(type)} is unknown`);
    } else if (field === 3) {
      if (content !== undefined) throw file.fail(`${value}: tensor_content is there twice`);
      const contentEnd = await scanner.block(`${value}: tensor_content`, wire, end);
      content = [scanner.position, contentEnd - scanner.position];
      scanner.jump(contentEnd);
    } else {
      await scanner.skip(`${value}: tensor field ${field}`, wire, end);
    }
  }
  if (type === undefined) throw file.fail(`${value}: tensor_type is missing`);
  if (content === undefined) throw file.fail(`${value}: tensor_content is missing`);
  return { type, dims, parts: content, bytes: content[1] };
}

async function readString(
  scanner: ProtobufScanner,
  file: CheckpointFile,
  what: string,
  wire: number,
  end: number,
  maxBytes: number,
): Promise<string> {
  const stringEnd = await scanner.block(what, wire, end);
  const length = stringEnd - scanner.position;
  if (length > maxBytes)
    throw file.fail(`${what} is ${length} bytes long, but may have ${maxBytes} at the most`);
  const bytes = await scanner.read(length);
  if (!isUtf8(bytes)) throw file.fail(`${what} is not UTF-8`);
  return bytes.toString('utf8');
}

/** MindSpore splits a tensor over 512 MiB into adjacent entries that all carry the full dims. */
function join(file: CheckpointFile, first: Entry, next: Entry): void {
  const what = `tensor ${showName(first.tag)}`;
  if (first.type !== next.type) {
    throw file.fail(
      `${what} is split, but its parts have the tensor_types ${first.type} and ${next.type}`,
    );
  }
  if (first.dims.join() !== next.dims.join()) {
    throw file.fail(
      `${what} is split, but its parts have the dims ${showStoredShape(first.dims)} and ${showStoredShape(next.dims)}`,
    );
  }
  first.parts.push(...next.parts);
  first.bytes += next.bytes;
}

function storedTensor(
  file: CheckpointFile,
  { tag, type, dims, parts, bytes }: Entry,
): StoredTensor {
  const dtype = dtypes.get(type)!;
  if (dtype === 'string') return { file, dtype, shape: [], parts };
  const shape = dims.length === 1 && dims[0] === 0 ? [] : dims;
  const expected = storedBytes(shape, bitWidth[dtype]);
  if (typeof expected === 'string') {
    throw file.fail(
      `tensor ${showName(tag)}: the product of dims ${showStoredShape(dims)} overflows`,
    );
  }
  if (bytes === expected) return { file, dtype, shape, parts };
  // Some versions of MindSpore store bfloat16 elements as float32: the upper two bytes are the bfloat16.
  if (dtype === 'bfloat16' && bytes === 2 * expected)
    return { file, dtype, shape, parts, upperHalves: true };
  throw file.fail(
    `tensor ${showName(tag)}: tensor_content has ${bytes} bytes, but ${type} with dims ${showStoredShape(dims)} takes ${expected}` +
      (bytes > expected ? ' (is the tensor there twice?)' : ''),
  );
}

/** Verifies the trailer: ASCII crc_num, then 10 bytes big-endian with the CRC-32 of all bytes before it. */
async function verifyTrailer(file: CheckpointFile): Promise<void> {
  const end = file.size - trailerBytes;
  const trailer = Buffer.alloc(trailerBytes);
  await file.read(end, trailer);
  const stated = BigInt(`0x${trailer.toString('hex', trailerMark.length)}`);
  const piece = Buffer.alloc(Math.min(pieceBytes, end));
  let actual = 0;
  for (let position = 0; position < end; position += piece.length) {
    const part = piece.subarray(0, Math.min(piece.length, end - position));
    await file.read(position, part);
    actual = crc32(part, actual);
  }
  if (BigInt(actual) !== stated) {
    throw file.fail(
      `is damaged: its trailer states the CRC-32 ${stated.toString(16)}, but the bytes before it have ${actual.toString(16)}`,
    );
  }
}
