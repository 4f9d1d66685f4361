import type { CheckpointFile } from './file.js';

/** The wire types that a message may hold; groups (3 and 4) went out of use before MindSpore came. @internal */
export const WireType = { Varint: 0, Fixed64: 1, Block: 2, Fixed32: 5 } as const;

/** Small: entries lie far apart, and each jump over a tensor's content reads the window anew. */
const windowBytes = 4096;

/**
 * Walks over the fields of a protobuf file without reading the contents that it steps over.
 * Everything is checked against `end`, the first byte after the enclosing message.
 * @internal
 */
export class ProtobufScanner {
  readonly #file: CheckpointFile;
  readonly #buffer = Buffer.alloc(windowBytes);
  #window = this.#buffer.subarray(0, 0);
  #windowStart = 0;
  /** Where the next byte will be read. */
  position = 0;

  constructor(file: CheckpointFile) {
    this.#file = file;
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
      throw this.#file.fail(
        `${what} asks for ${length} bytes at byte ${this.position}, but ${end - this.position} are left there`,
      );
    }
    return this.position + length;
  }

  /** Steps over a field that is not known, as protobuf readers do. */
  async skip(what: string, wire: number, end: number): Promise<void> {
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

  /** Fills `target` from here on and steps over it; the caller has checked that it fits. */
  async read(target: Uint8Array): Promise<void> {
    await this.#file.read(this.position, target);
    this.position += target.byteLength;
  }

  /** The next bytes, without stepping over them. */
  async peek(length: number): Promise<Buffer> {
    const bytes = Buffer.alloc(length);
    await this.#file.read(this.position, bytes);
    return bytes;
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

  async #fill(): Promise<void> {
    const length = Math.min(windowBytes, this.#file.size - this.position);
    const window = this.#buffer.subarray(0, length);
    await this.#file.read(this.position, window);
    this.#window = window;
    this.#windowStart = this.position;
  }
}
