import { randomBytes } from 'node:crypto';
import { open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { itemSize, type DType } from '../tensor/dtype.js';
import { LatteError, show } from '../errors.js';
import { checkArgumentCount, checkEntries, checkOptions } from '../options.js';
import { bytesOf } from '../tensor/operations.js';
import { isTensor, stateOf, type Tensor } from '../tensor/tensor.js';
import { startReadingHere } from '../tensor/use.js';
import { checkPath, checkpointError, reasonOf, showName } from './file.js';
import { Budget, limits, maxNameBytes } from './limits.js';

const dtypeNames: Record<DType, string> = {
  float64: 'F64',
  float32: 'F32',
  float16: 'F16',
  bfloat16: 'BF16',
  int64: 'I64',
  int32: 'I32',
};

/** The options of {@link writeSafetensors}. */
export interface WriteSafetensorsOptions {
  /** Strings for the file's `__metadata__`. */
  metadata?: Readonly<Record<string, string>>;
}

const pieceBytes = 16 * 1024 * 1024;

/**
 * Writes tensors into a .safetensors file. The file appears as a whole or not at all: it is written under
 * another name in the same folder, and then renamed.
 *
 * As in files of the safetensors library, tensors with wide elements come first, and the data starts at a
 * multiple of 8 bytes, so that every tensor is aligned. Tensors of the same width are sorted by name.
 * @param path the file; an existing file is replaced.
 * @param tensors tensors by name, of any dtype and device. Do not dispose one before the promise
 *   settles. A forward that takes one as its `out` until then is refused with ERR_STATE.
 * @throws LatteError ERR_VALUE for names or metadata that the format does not allow, or that
 *   {@link openCheckpoint} would refuse; ERR_DISPOSED; ERR_STATE for a tensor that a forward still
 *   writes; ERR_CHECKPOINT, with `path`, if the file cannot be written.
 * @example
 * ```ts
 * await writeSafetensors('conditioning.safetensors', {
 *   encoder_hidden_states: plan.encoderHiddenStates,
 *   modulation: plan.step(0).modulation,
 * });
 * ```
 */
export async function writeSafetensors(
  path: string,
  tensors: Readonly<Record<string, Tensor>> | ReadonlyMap<string, Tensor>,
  options: WriteSafetensorsOptions = {},
): Promise<void> {
  checkArgumentCount(arguments, 3, 'writeSafetensors(path, tensors, options)');
  checkPath(path, 'path');
  const { metadata = {} } = checkOptions(options, ['metadata']);
  const entries: [string, Tensor][] = [];
  for (const [name, tensor] of checkEntries(tensors, 'tensors', 'tensors')) {
    checkText(name, 'a tensor name');
    if (Buffer.byteLength(name) > maxNameBytes) {
      throw new LatteError(
        'ERR_VALUE',
        `a tensor name may have ${maxNameBytes} bytes at the most, but ${showName(name)} has more`,
      );
    }
    if (name === '__metadata__')
      throw new LatteError('ERR_VALUE', 'a tensor cannot be named "__metadata__"');
    if (!isTensor(tensor)) {
      throw new LatteError(
        'ERR_VALUE',
        `tensors[${showName(name)}] must be a Tensor, but is ${show(tensor)}`,
      );
    }
    entries.push([name, tensor]);
  }
  entries.sort(
    ([a, x], [b, y]) => itemSize(y.dtype) - itemSize(x.dtype) || (a < b ? -1 : a > b ? 1 : 0),
  );
  const header = makeHeader(entries, metadata);
  const copies: Tensor[] = [];
  const releases: (() => void)[] = [];
  const shownOf = (name: string): string => `tensors[${showName(name)}]`;
  try {
    // Mark all tensors as being read before the file is created. A disposed tensor throws here, and
    // forwards that would write one are refused until the file is complete.
    for (const [name, tensor] of entries) {
      releases.push(startReadingHere(stateOf(tensor), shownOf(name)));
    }
    const contents: Content[] = [{ bytes: header, length: header.length }];
    for (const [name, tensor] of entries) {
      const shown = shownOf(name);
      const local = tensor.device === 'cpu' ? tensor : await tensor.to('cpu');
      if (local !== tensor) copies.push(local);
      contents.push({ bytes: bytesOf(local), length: tensor.byteLength, name: shown });
    }
    await replaceFile(path, contents);
  } finally {
    for (const release of releases) release();
    for (const copy of copies) copy.dispose();
  }
}

function makeHeader(
  entries: readonly (readonly [string, Tensor])[],
  metadata: Readonly<Record<string, string>>,
): Buffer {
  const fields: string[] = [];
  const budget = new Budget();
  const fail = (message: string) => new LatteError('ERR_VALUE', message);
  const strings = checkEntries(metadata, 'metadata', 'strings') as [string, string][];
  for (const [key, value] of strings) {
    checkText(key, 'a metadata name');
    checkText(value, `metadata[${showName(key)}]`);
    budget.spend('metadataEntries', 1, fail);
    budget.spend('metadataCharacters', key.length + value.length, fail);
  }
  // Write each name as text: an object with a property "__proto__" would lose that name.
  const pairs = strings.map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`);
  if (pairs.length > 0) fields.push(`"__metadata__":{${pairs.join(',')}}`);
  let begin = 0;
  for (const [name, tensor] of entries) {
    const end = begin + tensor.byteLength;
    budget.spend('tensors', 1, fail);
    budget.spend('nameCharacters', name.length, fail);
    const entry = {
      dtype: dtypeNames[tensor.dtype],
      shape: tensor.shape,
      data_offsets: [begin, end],
    };
    fields.push(`${JSON.stringify(name)}:${JSON.stringify(entry)}`);
    begin = end;
  }
  const json = Buffer.from(`{${fields.join(',')}}`);
  const length = Math.ceil(json.length / 8) * 8;
  if (length > limits.directoryBytes) {
    throw new LatteError(
      'ERR_VALUE',
      `names and metadata take ${length} bytes, but a header may have ${limits.directoryBytes} at the most`,
    );
  }
  const header = Buffer.alloc(8 + length, ' ');
  header.writeBigUInt64LE(BigInt(length));
  json.copy(header, 8);
  return header;
}

interface Content {
  /** Becomes empty if the tensor is disposed, or its array transferred, while the file is written. */
  bytes: Uint8Array;
  length: number;
  name?: string;
}

async function replaceFile(path: string, contents: readonly Content[]): Promise<void> {
  // Only the beginning of the name: the temporary name is longer and could exceed the system's limit.
  const begin = basename(path).slice(0, 40);
  const temporary = join(dirname(path), `.${begin}.${randomBytes(6).toString('hex')}.tmp`);
  try {
    const handle = await open(temporary, 'wx');
    try {
      for (const { bytes, length, name } of contents) {
        for (let done = 0; done < bytes.length;) {
          const { bytesWritten } = await handle.write(
            bytes,
            done,
            Math.min(pieceBytes, bytes.length - done),
          );
          done += bytesWritten;
        }
        if (bytes.length !== length) {
          throw new LatteError(
            'ERR_STATE',
            `${name} was disposed, or its array detached, while it was written`,
          );
        }
      }
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, path);
  } catch (cause) {
    // An error of rm is ignored, so that the first error is reported.
    await rm(temporary, { force: true }).catch(() => undefined);
    if (cause instanceof LatteError) throw cause;
    throw checkpointError(path, `cannot be written: ${reasonOf(cause)}`, cause);
  }
}

function checkText(value: unknown, what: string): void {
  if (typeof value !== 'string' || /\p{Surrogate}/u.test(value)) {
    throw new LatteError(
      'ERR_VALUE',
      `${what} must be a well-formed string, but is ${show(value)}`,
    );
  }
}
