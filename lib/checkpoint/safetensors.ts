import { show } from '../errors.js';
import { explain, truncated } from './file-kind.js';
import { CheckpointFile, showName, showStoredShape } from './file.js';
import { JsonReader } from './json-reader.js';
import { Budget, limits, maxAxes } from './limits.js';
import { bitWidth, storedBytes, type StoredDType, type StoredTensor } from './stored-tensor.js';

/** The most bytes of a header, as in the format. Checked before memory is allocated for the header. */
const maxHeaderBytes = limits.directoryBytes;

/** The most fields of one tensor. Three are known; later versions of the format may add some. */
const maxFields = 64;

/** The most bytes of one tensor's object in the header, with white space and unknown fields. */
const maxEntryBytes = 2 * 1024 * 1024;

// Every dtype of the safetensors library, also those that a Tensor cannot have: a checkpoint may have
// such tensors among those that are not read.
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

/** The directory of a checkpoint, and its open files. @internal */
export interface CheckpointContents {
  readonly files: readonly CheckpointFile[];
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  readonly metadata: ReadonlyMap<string, string>;
}

/**
 * Reads and checks the header of a .safetensors file. The file has 8 bytes of header length
 * (little-endian), the header (JSON), then the tensors one after the other without a gap. Reading a long
 * header does not block the event loop.
 * @throws LatteError ERR_CHECKPOINT for a file that breaks a rule of the format, or exceeds the budget.
 * @internal
 */
export async function readSafetensors(
  path: string,
  budget = new Budget(),
): Promise<CheckpointContents> {
  const file = await CheckpointFile.open(path);
  try {
    return await readContents(file, budget);
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** Like {@link readSafetensors}, for an open file, which stays open also after an error. @internal */
export async function readContents(
  file: CheckpointFile,
  budget: Budget,
): Promise<CheckpointContents> {
  try {
    const header = await readHeader(file, budget);
    const { tensors, metadata } = await parseHeader(file, header, budget);
    await file.checkUnchanged();
    return { files: [file], tensors, metadata };
  } catch (error) {
    throw await explain(file, error);
  }
}

async function readHeader(file: CheckpointFile, budget: Budget): Promise<Buffer> {
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
    throw truncated(file, `header length is ${length}, but only ${file.size - 8} bytes follow it`);
  }
  budget.spend('directoryBytes', Number(length), (message) => file.fail(message));
  const header = Buffer.alloc(Number(length));
  await file.read(8, header);
  return header;
}

async function parseHeader(
  file: CheckpointFile,
  header: Buffer,
  budget: Budget,
): Promise<{ tensors: Map<string, StoredTensor>; metadata: Map<string, string> }> {
  const fail = (message: string) => file.fail(`header: ${message}`);
  const reader = await JsonReader.open(header, fail, budget);
  const dataStart = 8 + header.length;
  const tensors = new Map<string, StoredTensor>();
  let metadata: Map<string, string> | undefined;
  let begin = 0;
  for (const name of reader.fields('the header')) {
    if (name === '__metadata__') {
      if (metadata !== undefined) throw reader.fail('__metadata__ is there twice');
      metadata = await readMetadata(reader, budget);
      continue;
    }
    if (tensors.has(name)) throw reader.fail(`tensor ${showName(name)} is there twice`);
    budget.spend('tensors', 1, fail);
    budget.spend('nameCharacters', name.length, fail);
    tensors.set(
      name,
      reader.within(maxEntryBytes, `tensor ${showName(name)}`, () =>
        readEntry(reader, file, name, dataStart, budget),
      ),
    );
    await budget.turn(reader.position - begin);
    begin = reader.position;
  }
  await reader.end(budget);
  await checkLayout(file, tensors, dataStart, budget);
  return { tensors, metadata: metadata ?? new Map<string, string>() };
}

async function readMetadata(reader: JsonReader, budget: Budget): Promise<Map<string, string>> {
  const metadata = new Map<string, string>();
  const fail = (message: string) => reader.fail(message);
  // The reference library reads null as no metadata.
  if (reader.null()) return metadata;
  const most = limits.metadataCharacters;
  for (const key of reader.fields('__metadata__')) {
    if (metadata.has(key)) throw reader.fail(`__metadata__ has ${showName(key)} twice`);
    const value = reader.string(`__metadata__ ${showName(key)}`, most, most);
    budget.spend('metadataEntries', 1, fail);
    budget.spend('metadataCharacters', key.length + value.length, fail);
    metadata.set(key, value);
    await budget.turn(key.length + value.length);
  }
  return metadata;
}

function readEntry(
  reader: JsonReader,
  file: CheckpointFile,
  name: string,
  dataStart: number,
  budget: Budget,
): StoredTensor {
  const tensor = `tensor ${showName(name)}`;
  let dtype: Exclude<StoredDType, 'string'> | undefined;
  let shape: number[] | undefined;
  let offsets: number[] | undefined;
  const seen: string[] = [];
  for (const field of reader.fields(tensor)) {
    if (seen.includes(field)) throw reader.fail(`${tensor} has the field ${showName(field)} twice`);
    if (seen.push(field) > maxFields)
      throw reader.fail(`${tensor} has more than ${maxFields} fields`);
    if (field === 'dtype') {
      const given = reader.string(`${tensor}: dtype`);
      dtype = dtypes.get(given);
      if (dtype === undefined) throw reader.fail(`${tensor}: dtype ${show(given)} is unknown`);
    } else if (field === 'shape') {
      const lengths: number[] = [];
      reader.array(`${tensor}: shape`, () => {
        if (lengths.length === maxAxes)
          throw reader.fail(`${tensor}: shape has more than ${maxAxes} axes`);
        lengths.push(reader.wholeNumber(`${tensor}: shape`, lengths.length));
      });
      // A copy, because an array that grew by push() keeps memory for more elements.
      shape = lengths.slice();
    } else if (field === 'data_offsets') {
      const pair: number[] = [];
      reader.array(`${tensor}: data_offsets`, () => {
        if (pair.length === 2) throw reader.fail(`${tensor}: data_offsets must be two numbers`);
        pair.push(reader.wholeNumber(`${tensor}: data_offsets`, pair.length));
      });
      if (pair.length !== 2) throw reader.fail(`${tensor}: data_offsets must be two numbers`);
      offsets = pair;
    } else {
      reader.skip(`${tensor}: ${showName(field)}`, budget);
    }
  }
  if (dtype === undefined) throw reader.fail(`${tensor} has no dtype`);
  if (shape === undefined) throw reader.fail(`${tensor} has no shape`);
  if (offsets === undefined) throw reader.fail(`${tensor} has no data_offsets`);
  const [begin, end] = offsets as [number, number];
  if (end < begin) throw reader.fail(`${tensor}: data_offsets [${begin}, ${end}] run backwards`);
  const bytes = storedBytes(shape, bitWidth[dtype]);
  if (bytes === 'overflow')
    throw reader.fail(`${tensor}: the product of shape ${showStoredShape(shape)} overflows`);
  if (bytes !== end - begin) {
    throw reader.fail(
      `${tensor}: data_offsets [${begin}, ${end}] span ${end - begin} bytes, but ${dtype} of shape ${showStoredShape(shape)} takes ` +
        (bytes === 'fraction' ? 'no whole number of bytes' : String(bytes)),
    );
  }
  return { file, dtype, shape, parts: [dataStart + begin, end - begin] };
}

/**
 * Checks that the tensors lie end to end, from the header to the end of the file. Follows them from one
 * to the next; sorting them would block the event loop.
 */
async function checkLayout(
  file: CheckpointFile,
  tensors: ReadonlyMap<string, StoredTensor>,
  dataStart: number,
  budget: Budget,
): Promise<void> {
  const startingAt = new Map<number, string>();
  const empty: [name: string, position: number][] = [];
  for (const [name, { parts }] of tensors) {
    const [begin, length] = parts as [number, number];
    const other = startingAt.get(begin);
    if (length === 0) empty.push([name, begin]);
    else if (other === undefined) startingAt.set(begin, name);
    else throw overlap(file, name, `tensor ${showName(other)}`);
    await budget.turn();
  }
  let previous = 'the header';
  let position = dataStart;
  const boundaries = new Set([position]);
  for (let i = 0; i < startingAt.size; i++) {
    const name = startingAt.get(position);
    if (name === undefined) throw misplaced(file, startingAt, boundaries, position, previous);
    position += tensors.get(name)!.parts[1]!;
    boundaries.add(position);
    previous = `tensor ${showName(name)}`;
    if (position > file.size) {
      throw truncated(
        file,
        `${previous}: data_offsets end ${position - file.size} bytes past the end of the file (${file.size} bytes)`,
      );
    }
    await budget.turn();
  }
  for (const [name, begin] of empty) {
    if (boundaries.has(begin)) continue;
    if (begin < position) throw overlap(file, name, 'another tensor');
    throw hole(file, name, begin - position, previous);
  }
  if (position !== file.size) {
    throw file.fail(
      `${file.size - position} bytes follow ${tensors.size === 0 ? 'the header' : 'the last tensor'}`,
    );
  }
}

/** The error of the first tensor that does not start where its predecessor ends, at `position`. */
function misplaced(
  file: CheckpointFile,
  startingAt: ReadonlyMap<number, string>,
  followed: ReadonlySet<number>,
  position: number,
  previous: string,
): Error {
  let first = Infinity;
  for (const begin of startingAt.keys()) {
    if (begin < first && !followed.has(begin)) first = begin;
  }
  const name = startingAt.get(first)!;
  return first < position
    ? overlap(file, name, previous)
    : hole(file, name, first - position, previous);
}

function overlap(file: CheckpointFile, name: string, other: string): Error {
  return file.fail(`tensor ${showName(name)}: data_offsets overlap those of ${other}`);
}

function hole(file: CheckpointFile, name: string, bytes: number, previous: string): Error {
  return file.fail(
    `tensor ${showName(name)}: data_offsets leave a hole of ${bytes} bytes after ${previous}`,
  );
}
