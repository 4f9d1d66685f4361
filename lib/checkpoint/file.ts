import { constants, type BigIntStats } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { LatteError, show, showShape } from '../errors.js';

/** The most bytes of one read call: the file can be closed between two calls. */
const pieceBytes = 16 * 1024 * 1024;

/**
 * An untrusted file. It is read in pieces at given positions, never as a whole, and checked for changes
 * while it is open.
 * @internal
 */
export class CheckpointFile {
  readonly path: string;
  /** The size in bytes at the time of opening. */
  readonly size: number;
  /** Device and inode, which are the same for two names of one file. */
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

  /** @throws LatteError ERR_CHECKPOINT if there is no such file, or if it is not a regular file. */
  static async open(path: string): Promise<CheckpointFile> {
    let handle: FileHandle | undefined;
    try {
      // Without O_NONBLOCK, opening a named pipe waits until another process writes into it.
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

  /** An ERR_CHECKPOINT error about this file. */
  fail(message: string, cause?: unknown): LatteError {
    return checkpointError(this.path, message, cause);
  }

  /**
   * Fills `target` with the bytes from `position` on.
   * @throws LatteError ERR_CHECKPOINT if the file ends before the target is full, ERR_STATE after close.
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
   * Checks that no other process wrote into the file while it was read.
   * @throws LatteError ERR_CHECKPOINT if the size or the modification time changed since the opening.
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

  /** Closes the file once running reads have ended. A second call returns the same promise. */
  close(): Promise<void> {
    return (this.#closing ??= this.#handle.close());
  }

  #checkOpen(): void {
    if (this.#closing !== undefined)
      throw new LatteError('ERR_STATE', `checkpoint ${showName(this.path)} was closed`);
  }
}

/** An ERR_CHECKPOINT error about a file. @internal */
export function checkpointError(path: string, message: string, cause?: unknown): LatteError {
  return new LatteError('ERR_CHECKPOINT', `${shorten(path, 500)}: ${message}`, { path, cause });
}

/** The message of an error, shortened. @internal */
export function reasonOf(cause: unknown): string {
  const { message, syscall, path } = cause as NodeJS.ErrnoException;
  // A system error's message ends with the path, with which the message of checkpointError begins.
  const end = path === undefined ? -1 : message.lastIndexOf(`, ${syscall} '${path}'`);
  return shorten(end < 0 ? message : message.slice(0, end), 500);
}

/** The name of a file, tensor or field for a message; a long name is shortened. @internal */
export function showName(name: string | undefined): string {
  if (name === undefined || name.length <= 120) return JSON.stringify(name);
  return `${JSON.stringify(`${name.slice(0, 80)}…${name.slice(-30)}`)} (${name.length} characters)`;
}

/** A shape for a message; of many axes only the first eight. @internal */
export function showStoredShape(shape: readonly number[]): string {
  return shape.length > 8 ? `[${shape.slice(0, 8).join(', ')}, …]` : showShape(shape);
}

/** Shortens a long text in the middle, because both ends of a path tell something. */
function shorten(text: string, most: number): string {
  if (text.length <= most) return text;
  return `${text.slice(0, most / 2)}…${text.slice(-most / 2)}`;
}

/** Checks a path that the caller gave. @throws LatteError ERR_VALUE. @internal */
export function checkPath(path: unknown, name: string): string {
  if (typeof path === 'string' && path !== '' && !path.includes('\0')) return path;
  throw new LatteError(
    'ERR_VALUE',
    `${name} must be a path (a string that is not empty), but is ${show(path)}`,
  );
}
