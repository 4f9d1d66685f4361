import { setImmediate } from 'node:timers/promises';
import type { LatteError } from '../errors.js';

/**
 * Bounds on what a checkpoint may make this process remember, over all of its shards together. They
 * are far above what published checkpoints have, and low enough for a JavaScript heap of 300 MB.
 */
export const limits = {
  /** Bytes of all headers and the index: the safetensors format's own limit for one header. */
  directoryBytes: 100_000_000,
  /** Tensors in all headers, named by the index or not; in a .ckpt the parts of split ones, too. */
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

/** Axes of one tensor: as many as a {@link Tensor} takes. */
export const maxAxes = 32;

/**
 * Bytes of one tensor's name. V8 gives all strings of more than 16 383 characters and the same
 * length the same hash: a map of such names takes quadratic time.
 */
export const maxNameBytes = 8192;

/** Bytes of a header to read between two turns of the event loop: a few milliseconds. */
const bytesPerTurn = 256 * 1024;

/** An entry of a loop takes about as long as this many bytes. */
const bytesPerEntry = 512;

/**
 * Counts what the directory of one checkpoint takes, refuses what goes beyond {@link limits}, and
 * gives the event loop its turn. All shards of a checkpoint share one budget.
 * @internal
 */
export class Budget {
  readonly #spent: Partial<Record<Counted, number>> = {};
  #work = 0;

  /** Adds `amount`. @throws the error that `fail` makes if the sum exceeds the limit. */
  spend(what: Counted, amount: number, fail: (message: string) => LatteError): void {
    const sum = (this.#spent[what] ?? 0) + amount;
    if (sum > limits[what])
      throw fail(`the checkpoint has more than ${limits[what]} ${units[what]}`);
    this.#spent[what] = sum;
  }

  /** What is left of a limit. */
  left(what: Counted): number {
    return limits[what] - (this.#spent[what] ?? 0);
  }

  /**
   * To be called for each entry of a loop; returns a turn of the event loop to wait for if one is due.
   * @param bytes that the entry took, beyond the usual.
   */
  turn(bytes = 0): Promise<void> | undefined {
    this.#work += bytesPerEntry + bytes;
    if (this.#work < bytesPerTurn) return undefined;
    this.#work = 0;
    return setImmediate();
  }

  /** The same for a loop over bytes: calls `work` with the bounds of one slice after the other. */
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
