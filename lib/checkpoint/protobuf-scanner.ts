import { truncated } from './file-kind.js';
import type { CheckpointFile } from './file.js';
import type { Budget } from './limits.js';

/** The wire types that are read. Groups (3 and 4) are refused: MindSpore never wrote any. @internal */
export const WireType = { Varint: 0, Fixed64: 1, Block: 2, Fixed32: 5 } as const;

/**
 * The sizes of the window, the part of the file in memory. Most entries lie far apart, so after a jump
 * over a tensor's content a small window is read. While entries follow each other it doubles.
 */
const leastWindow = 4096;
const mostWindow = 256 * 1024;

/**
 * Reads the fields of a protobuf file one after the other, without reading contents that are skipped.
 * Fields that lie close together come from one read.
 *
 * In all methods `end` is the position after the enclosing message; a field that exceeds it throws
 * ERR_CHECKPOINT. `what` is the name of the field in messages.
 * @internal
 */
export class ProtobufScanner {
  readonly #file: CheckpointFile;
  readonly #budget: Budget;
  #buffer = Buffer.alloc(leastWindow);
  #window = this.#buffer.subarray(0, 0);
  #windowStart = 0;
  /** Where the next byte will be read. */
  position = 0;

  constructor(file: CheckpointFile, budget: Budget) {
    this.#file = file;
    this.#budget = budget;
  }

  /** Reads a field's number and wire type. */
  async key(what: string, end: number): Promise<{ field: number; wire: number }> {
    const at = this.position;
    const key = await this.varint(`${what}: a field key`, end);
    const field = Math.floor(key / 8);
    if (field < 1 || field >= 2 ** 29)
      throw this.#file.fail(`${what}: byte ${at} does not start a protobuf field`);
    return { field, wire: key % 8 };
  }

  /** Reads an unsigned varint below 2^53. Larger numbers and negative ones (of ten bytes) are refused. */
  async varint(what: string, end: number): Promise<number> {
    const start = this.position;
    let value = 0;
    let unit = 1;
    for (let length = 1; ; length++) {
      if (this.position >= end) throw this.#file.fail(`${what} at byte ${start} is cut off`);
      const offset = this.position - this.#windowStart;
      if (offset < 0 || offset >= this.#window.length) await this.#fill();
      const byte = this.#window[this.position - this.#windowStart]!;
      this.position++;
      value += (byte & 0x7f) * unit;
      if (value > Number.MAX_SAFE_INTEGER || length > 10) {
        throw this.#file.fail(`${what} at byte ${start} is negative or larger than 2^53`);
      }
      if (byte < 0x80) return value;
      unit *= 128;
    }
  }

  /** Reads the length of a length-delimited field, and returns the position after its content. */
  async block(what: string, wire: number, end: number): Promise<number> {
    if (wire !== WireType.Block)
      throw this.#file.fail(`${what} has wire type ${wire}, but ${WireType.Block} was expected`);
    const length = await this.varint(`${what}: its length`, end);
    if (length > end - this.position) {
      const message = `${what} asks for ${length} bytes at byte ${this.position}, but ${end - this.position} are left there`;
      throw end === this.#file.size ? truncated(this.#file, message) : this.#file.fail(message);
    }
    return this.position + length;
  }

  /** Steps over an unknown field. */
  async skip(what: string, wire: number, end: number): Promise<void> {
    this.#budget.spend('skippedFields', 1, (message) => this.#file.fail(message));
    await this.#budget.turn();
    if (wire === WireType.Varint) return void (await this.#skipVarint(what, end));
    if (wire === WireType.Block) return this.jump(await this.block(what, wire, end));
    const width = wire === WireType.Fixed64 ? 8 : wire === WireType.Fixed32 ? 4 : undefined;
    if (width === undefined)
      throw this.#file.fail(`${what} has wire type ${wire}, which cannot be read`);
    if (width > end - this.position)
      throw this.#file.fail(`${what} at byte ${this.position} is cut off`);
    this.jump(this.position + width);
  }

  /** Continues at a position after this one. */
  jump(position: number): void {
    this.position = position;
  }

  /** Reads bytes; the caller has checked that the file has them. The view is valid until the next call. */
  async read(length: number): Promise<Buffer> {
    const bytes = await this.peek(length);
    this.position += length;
    return bytes;
  }

  /** Like {@link read}, without stepping over the bytes. */
  async peek(length: number): Promise<Buffer> {
    const offset = this.position - this.#windowStart;
    if (offset < 0 || offset + length > this.#window.length) await this.#fill(length);
    const start = this.position - this.#windowStart;
    return this.#window.subarray(start, start + length);
  }

  /** Steps over a varint of any 64 bits. */
  async #skipVarint(what: string, end: number): Promise<void> {
    const start = this.position;
    for (let length = 1; length <= 10 && this.position < end; length++) {
      const offset = this.position - this.#windowStart;
      if (offset < 0 || offset >= this.#window.length) await this.#fill();
      if (this.#window[this.position++ - this.#windowStart]! < 0x80) return;
    }
    throw this.#file.fail(`${what} at byte ${start} is cut off`);
  }

  /** Reads a new window from this position on, of at least `length` bytes. */
  async #fill(length = 1): Promise<void> {
    const ahead = this.position - this.#windowStart;
    const near = ahead >= 0 && ahead < 2 * this.#buffer.length;
    const wanted = near ? Math.min(2 * this.#buffer.length, mostWindow) : leastWindow;
    const size = Math.max(wanted, length);
    if (size !== this.#buffer.length) this.#buffer = Buffer.alloc(size);
    const window = this.#buffer.subarray(0, Math.min(size, this.#file.size - this.position));
    await this.#file.read(this.position, window);
    this.#window = window;
    this.#windowStart = this.position;
  }
}
