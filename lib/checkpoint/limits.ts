import { setImmediate } from 'node:timers/promises';
import type { LatteError } from '../errors.js';

/**
 * How much of a checkpoint's directory this process keeps in memory at most, for all shards together.
 * The limits are far above the numbers of published checkpoints, and fit a JavaScript heap of 300 MB.
 */
export const limits = {
  /** Bytes of all headers and the index. The safetensors format has this limit for one header. */
  directoryBytes: 100_000_000,
  /** Tensors in all headers, also those that the index does not name; in a .ckpt also parts of tensors. */
  tensors: 100_000,
  /** Characters of all tensor names. */
  nameCharacters: 32 * 1024 * 1024,
  metadataEntries: 10_000,
  /** Characters of all keys and values under `__metadata__`. */
  metadataCharacters: 4 * 1024 * 1024,
  /** Bytes of unknown fields in headers and index. */
  skippedBytes: 256 * 1024,
  /** Unknown fields of a .ckpt, whose contents are not read. */
  skippedFields: 100_000,
  shards: 4096,
} as const;

type Counted = keyof typeof limits;

const units: Readonly<Record<Counted, string>> = {
  directoryBytes: 'bytes of headers and index',
  tensors: 'tensors',
  nameCharacters: 'characters of tensor names',
  metadataEntries: 'metadata entries',
  metadataCharacters: 'characters of metadata',
  skippedBytes: 'bytes of unknown fields',
  skippedFields: 'unknown fields',
  shards: 'shards',
};

/** The most axes of one tensor, the same as of a {@link Tensor}. */
export const maxAxes = 32;

/**
 * The most bytes of one tensor's name. V8 gives the same hash to all strings of the same length above
 * 16 383 characters, so a map of such names would take quadratic time.
 */
export const maxNameBytes = 8192;

/** Bytes of a header to read between two turns of the event loop: a few milliseconds. */
const bytesPerTurn = 256 * 1024;

/** Handling one entry of a directory takes about as long as reading this many bytes. */
const bytesPerEntry = 512;

/**
 * Counts what the directory of a checkpoint takes, throws if that exceeds {@link limits}, and returns to
 * the event loop now and then. All shards of a checkpoint share one budget.
 * @internal
 */
export class Budget {
  readonly #spent: Partial<Record<Counted, number>> = {};
  #work = 0;

  /** Counts `amount`. @throws the error that `fail` makes, if the sum exceeds the limit. */
  spend(what: Counted, amount: number, fail: (message: string) => LatteError): void {
    const sum = (this.#spent[what] ?? 0) + amount;
    if (sum > limits[what])
      throw fail(`the checkpoint has more than ${limits[what]} ${units[what]}`);
    this.#spent[what] = sum;
  }

  /** How much of a limit is left. */
  left(what: Counted): number {
    return limits[what] - (this.#spent[what] ?? 0);
  }

  /**
   * Call and await this for each entry of a loop. It returns a promise for the next turn of the event
   * loop once a few milliseconds of work have passed, else undefined.
   * @param bytes the bytes of a large entry, for which more work is counted.
   */
  turn(bytes = 0): Promise<void> | undefined {
    this.#work += bytesPerEntry + bytes;
    if (this.#work < bytesPerTurn) return undefined;
    this.#work = 0;
    return setImmediate();
  }

  /**
   * Like {@link turn} for a loop over bytes: calls `work` with the bounds of a slice. `work` returns where
   * the next slice begins, or undefined to stop.
   */
  async slices(
    length: number,
    work: (begin: number, end: number) => number | undefined,
  ): Promise<void> {
    for (let begin = 0; begin < length;) {
      const next = work(begin, Math.min(begin + bytesPerTurn, length));
      if (next === undefined) return;
      begin = next;
      if (begin < length) await setImmediate();
    }
  }
}
