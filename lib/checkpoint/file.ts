import { constants, type BigIntStats } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { LatteError, show, showShape } from '../errors.js';

/** No read asks the system for more than this at once, so that an abandoned one ends soon. */
const pieceBytes = 16 * 1024 * 1024;

/**
 * A file that came from somewhere else: read in positioned pieces, never as a whole, and watched
 * for changes while it is open.
 * @internal
 */
export class CheckpointFile {
  readonly path: string;
  /** In bytes, when the file was opened. */
  readonly size: number;
  /** Device and inode: the same for two names of one file. */
  readonly identity: string;
  readonly #handle: FileHandle;
  readonly #modified: bigint;
  #closing: Promise<void> | undefined;

  private constructor(path: string, handle: FileHandle, status: BigIntStats) {
    this.path = path;
    this.#handle = handle;
    this.size = Number(status.size);
    this.identity = `${status.dev}:${status.ino}`;
    this.#modified = status.mtimeNs;
  }

  /** @throws LatteError ERR_CHECKPOINT when there is no such file, or it is not a regular one. */
  static async open(path: string): Promise<CheckpointFile> {
    let handle: FileHandle | undefined;
    try {
      // Without O_NONBLOCK the opening of a named pipe waits until somebody writes into it.
      handle = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
      const status = await handle.stat({ bigint: true });
      if (!status.isFile()) throw checkpointError(path, 'is not a regular file');
      return new CheckpointFile(path, handle, status);
    } catch (cause) {
      await handle?.close();
      if (cause instanceof LatteError) throw cause;
      throw checkpointError(path, `cannot be opened: ${reasonOf(cause)}`, cause);
    }
  }

  /** An error about this file. */
  fail(message: string, cause?: unknown): LatteError {
    return checkpointError(this.path, message, cause);
  }

  /**
   * Fills `target` with the bytes from `position` on.
   * @throws LatteError ERR_CHECKPOINT when the file ends before that, ERR_STATE after close.
   */
  async read(position: number, target: Uint8Array): Promise<void> {
    let done = 0;
    while (done < target.byteLength) {
      this.#checkOpen();
      const length = Math.min(pieceBytes, target.byteLength - done);
      let bytesRead: number;
      try {
        ({ bytesRead } = await this.#handle.read(target, done, length, position + done));
      } catch (cause) {
        this.#checkOpen();
        throw this.fail(`cannot be read at byte ${position + done}: ${reasonOf(cause)}`, cause);
      }
      if (bytesRead === 0) {
        throw this.fail(
          `ends at byte ${position + done}, but ${target.byteLength} bytes were expected from byte ${position} on` +
            ` (it had ${this.size} bytes when it was opened)`,
        );
      }
      done += bytesRead;
    }
  }

  /**
   * What was read is only worth something if nobody wrote into the file meanwhile.
   * @throws LatteError ERR_CHECKPOINT when its size or modification time is another than at opening.
   */
  async checkUnchanged(): Promise<void> {
    this.#checkOpen();
    let size: number;
    let modified: bigint;
    try {
      const status = await this.#handle.stat({ bigint: true });
      size = Number(status.size);
      modified = status.mtimeNs;
    } catch (cause) {
      this.#checkOpen();
      throw this.fail(`cannot be examined: ${reasonOf(cause)}`, cause);
    }
    if (size !== this.size || modified !== this.#modified) {
      throw this.fail(
        size === this.size
          ? 'was written to after it had been opened'
          : `has ${size} bytes now, but had ${this.size} when it was opened`,
      );
    }
  }

  /** Waits for reads that are under way; a second call waits for the same. */
  close(): Promise<void> {
    return (this.#closing ??= this.#handle.close());
  }

  #checkOpen(): void {
    if (this.#closing !== undefined)
      throw new LatteError('ERR_STATE', `checkpoint ${showName(this.path)} was closed`);
  }
}

/** @internal */
export function checkpointError(path: string, message: string, cause?: unknown): LatteError {
  return new LatteError('ERR_CHECKPOINT', `${shorten(path, 500)}: ${message}`, { path, cause });
}

/** The message of an error of the system, which repeats paths in full. @internal */
export function reasonOf(cause: unknown): string {
  return shorten((cause as Error).message, 500);
}

/** A name of a file, tensor or field in a message: in full, unless it is long. @internal */
export function showName(name: string | undefined): string {
  if (name === undefined || name.length <= 120) return JSON.stringify(name);
  return `${JSON.stringify(`${name.slice(0, 80)}…${name.slice(-30)}`)} (${name.length} characters)`;
}

/** A shape in a message: in full, unless it has many axes. @internal */
export function showStoredShape(shape: readonly number[]): string {
  return shape.length > 8 ? `[${shape.slice(0, 8).join(', ')}, …]` : showShape(shape);
}

/** Keeps both ends of a long text. */
function shorten(text: string, most: number): string {
  if (text.length <= most) return text;
  return `${text.slice(0, most / 2)}…${text.slice(-most / 2)}`;
}

/** Checks a path that came from the caller. @internal */
export function checkPath(path: unknown, name: string): string {
  if (typeof path === 'string' && path !== '' && !path.includes('\0')) return path;
  throw new LatteError(
    'ERR_VALUE',
    `${name} must be a path (a string that is not empty), but is ${show(path)}`,
  );
}
