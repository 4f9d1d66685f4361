import { LatteError, showShape } from '../errors.js';
import { bytesOf } from '../tensor/operations.js';
import { checkNoOptions } from '../options.js';
import { Tensor } from '../tensor/tensor.js';
import { explain } from './file-kind.js';
import { CheckpointFile, checkPath, checkpointError, showName } from './file.js';
import { findCheckpoint, kindOf } from './find.js';
import { readMindSpore } from './mindspore.js';
import { readShardedSafetensors } from './safetensors-shards.js';
import { readSafetensors, type CheckpointContents } from './safetensors.js';
import { isTensorDType, type StoredDType, type StoredTensor } from './stored-tensor.js';

const scratchBytes = 1024 * 1024;

/** The dtype and the shape of a checkpoint's tensor. */
export interface TensorInfo {
  /** A dtype of {@link Tensor}, or the name of one that can be listed but not loaded ('int8', 'bool' …). */
  dtype: StoredDType;
  shape: number[];
}

/**
 * An open checkpoint. The names, dtypes and shapes of its tensors are in memory; {@link tensor} reads
 * the elements of one. The files stay open until {@link close}. Calls may overlap.
 * @example
 * ```ts
 * await using checkpoint = await openCheckpoint('Latte-1/transformer');
 * for (const name of checkpoint.names()) console.log(name, checkpoint.info(name).shape);
 * using weight = await checkpoint.tensor('pos_embed.proj.weight');
 * ```
 */
export class Checkpoint {
  /** The file that was opened; for a sharded checkpoint this is the index. */
  readonly path: string;
  readonly format: 'safetensors' | 'mindspore';
  /** The strings under `__metadata__` of a .safetensors file. */
  readonly metadata: ReadonlyMap<string, string>;
  readonly #contents: CheckpointContents;
  #closing: Promise<void> | undefined;

  /** @internal */
  constructor(path: string, format: Checkpoint['format'], contents: CheckpointContents) {
    this.path = path;
    this.format = format;
    this.metadata = contents.metadata;
    this.#contents = contents;
  }

  /**
   * The names of all tensors, in the order of the file.
   * @throws LatteError ERR_STATE after close.
   */
  names(): string[] {
    this.#checkOpen();
    return [...this.#contents.tensors.keys()];
  }

  /**
   * Whether there is a tensor of this name.
   * @throws LatteError ERR_STATE after close.
   */
  has(name: string): boolean {
    this.#checkOpen();
    return this.#contents.tensors.has(name);
  }

  /**
   * The dtype and shape of a tensor, without reading it.
   * @throws LatteError ERR_CHECKPOINT if there is no tensor of this name, ERR_STATE after close.
   */
  info(name: string): TensorInfo {
    const { dtype, shape } = this.#find(name);
    return { dtype, shape: [...shape] };
  }

  /**
   * Reads a tensor into memory of the library, on the cpu, in the dtype and shape of the file.
   * @throws LatteError ERR_DTYPE for a dtype that a {@link Tensor} cannot have; ERR_CHECKPOINT if there
   *   is no tensor of this name, or if the file changed since it was opened; ERR_STATE after close;
   *   ERR_OUT_OF_MEMORY.
   */
  async tensor(name: string): Promise<Tensor> {
    checkNoOptions(arguments, 1, 'tensor(name)');
    const stored = this.#find(name);
    if (!isTensorDType(stored.dtype)) {
      throw new LatteError(
        'ERR_DTYPE',
        `${stored.file.path}: tensor ${showName(name)} is ${stored.dtype}, which cannot be loaded (its shape is ${showShape(stored.shape)})`,
        { path: stored.file.path },
      );
    }
    const tensor = Tensor.zeros(stored.shape, { dtype: stored.dtype });
    try {
      await readStored(stored, bytesOf(tensor));
    } catch (error) {
      tensor.dispose();
      throw error;
    }
    return tensor;
  }

  /**
   * Reads the elements of a tensor into memory of the caller.
   * @param target memory of the tensor's size in bytes.
   * @internal
   */
  async readInto(name: string, target: Uint8Array): Promise<void> {
    await readStored(this.#find(name), target);
  }

  /** Closes the files. Running calls of {@link tensor} fail with ERR_STATE; a second call does nothing. */
  close(): Promise<void> {
    return (this.#closing ??= Promise.all(this.#contents.files.map((file) => file.close())).then(
      () => undefined,
    ));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #find(name: string): StoredTensor {
    this.#checkOpen();
    const stored = this.#contents.tensors.get(name);
    if (stored === undefined) throw checkpointError(this.path, `has no tensor ${showName(name)}`);
    return stored;
  }

  #checkOpen(): void {
    if (this.#closing !== undefined)
      throw new LatteError('ERR_STATE', `checkpoint ${showName(this.path)} was closed`);
  }
}

async function readStored(stored: StoredTensor, target: Uint8Array): Promise<void> {
  await (stored.upperHalves ? readUpperHalves(stored, target) : readParts(stored, 0, target));
  await stored.file.checkUnchanged();
}

/** Fills `target` with the bytes of a tensor from byte `offset` on, from one or more of its parts. */
async function readParts(
  { file, parts }: StoredTensor,
  offset: number,
  target: Uint8Array,
): Promise<void> {
  // The byte of the tensor with which the current part begins.
  let partStart = 0;
  let done = 0;
  for (let i = 0; i < parts.length && done < target.length; i += 2) {
    const [position, length] = [parts[i]!, parts[i + 1]!];
    const from = offset + done - partStart;
    if (from < length) {
      const piece = target.subarray(done, done + Math.min(length - from, target.length - done));
      await file.read(position + from, piece);
      done += piece.length;
    }
    partStart += length;
  }
}

/** Reads bfloat16 elements that a file stores as float32: through a buffer, keeping the upper halves. */
async function readUpperHalves(stored: StoredTensor, target: Uint8Array): Promise<void> {
  const scratch = new Uint8Array(Math.min(scratchBytes, 2 * target.length));
  for (let done = 0; done < target.length;) {
    const piece = scratch.subarray(0, Math.min(scratch.length, 2 * (target.length - done)));
    await readParts(stored, 2 * done, piece);
    for (let i = 2; i < piece.length; i += 4) {
      target[done++] = piece[i]!;
      target[done++] = piece[i + 1]!;
    }
  }
}

/**
 * Opens a checkpoint: a .safetensors file, an index with its shards (`….safetensors.index.json`, or for
 * a variant `….safetensors.index.fp16.json`), a MindSpore .ckpt, or a folder that has one of these.
 *
 * In a folder, an index comes before .safetensors, and .safetensors before .ckpt. Files without a variant
 * come before those of a variant. Of several files of a kind, the one with diffusers' name
 * `diffusion_pytorch_model` is taken. No elements are read, except that a .ckpt with a checksum is read
 * once to verify it. Elements must be little-endian, in the files and on the machine.
 * @throws LatteError ERR_CHECKPOINT, with `path`, if a file is missing, ambiguous or malformed;
 *   ERR_VALUE if `path` is not a path.
 */
export async function openCheckpoint(path: string): Promise<Checkpoint> {
  checkNoOptions(arguments, 1, 'openCheckpoint(path)');
  return openVariant(path, undefined);
}

/** Like {@link openCheckpoint}, for the files of a variant ('fp16') if one is given. @internal */
export async function openVariant(path: string, variant: string | undefined): Promise<Checkpoint> {
  const file = await findCheckpoint(checkPath(path, 'path'), variant);
  switch (kindOf(file)) {
    case 'index':
      return new Checkpoint(file, 'safetensors', await readShardedSafetensors(file));
    case 'safetensors':
      return new Checkpoint(file, 'safetensors', await readSafetensors(file));
    case 'mindspore':
      return new Checkpoint(file, 'mindspore', await readMindSpore(file));
    default:
      throw await unknownEnding(file);
  }
}

/** The error for a file whose ending is unknown. The file is read only to name its kind in the message. */
async function unknownEnding(path: string): Promise<unknown> {
  const error = checkpointError(path, 'must end in .safetensors, .safetensors.index.json or .ckpt');
  const file = await CheckpointFile.open(path).catch(() => undefined);
  if (file === undefined) return error;
  try {
    return await explain(file, error);
  } finally {
    await file.close();
  }
}
