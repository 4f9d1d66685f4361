import { truncated } from './file-kind.js';
import type { CheckpointFile } from './file.js';
import type { Budget } from './limits.js';

/** The wire types that a message may hold; groups (3 and 4) went out of use before MindSpore came. @internal */
export const WireType = { Varint: 0, Fixed64: 1, Block: 2, Fixed32: 5 } as const;

/**
 * The window starts small: most entries lie far apart, and each jump over a tensor's content reads
 * it anew. It doubles as long as what comes next is wanted.
 */
const leastWindow = 4096;
const mostWindow = 256 * 1024;

/**
 * Walks over the fields of a protobuf file without reading the contents that it steps over. Fields
 * that lie close together come from one read.
 * Everything is checked against `end`, the first byte after the enclosing message.
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

  /** Reads an unsigned varint below 2^53; negative numbers (ten bytes on the wire) are refused with those above. */
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

  /** Reads the length of a length-delimited field; gives the position after its content. */
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

  /** Steps over a field that is not known, as protobuf readers do. */
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

  /** Continues at another position. */
  jump(position: number): void {
    this.position = position;
  }

  /** The next bytes, as a view that lasts until the next call; the caller has checked that they are there. */
  async read(length: number): Promise<Buffer> {
    const bytes = await this.peek(length);
    this.position += length;
    return bytes;
  }

  /** The same without stepping over them. */
  async peek(length: number): Promise<Buffer> {
    const offset = this.position - this.#windowStart;
    if (offset < 0 || offset + length > this.#window.length) await this.#fill(length);
    const start = this.position - this.#windowStart;
    return this.#window.subarray(start, start + length);
  }

  /** An unknown varint may have any 64 bits. */
  async #skipVarint(what: string, end: number): Promise<void> {
    const start = this.position;
    for (let length = 1; length <= 10 && this.position < end; length++) {
      const offset = this.position - this.#windowStart;
      if (offset < 0 || offset >= this.#window.length) await this.#fill();
      if (this.#window[this.position++ - this.#windowStart]! < 0x80) return;
    }
    throw this.#file.fail(`${what} at byte ${start} is cut off`);
  }

  /** Moves the window here, and makes it hold at least the next `length` bytes. */
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
