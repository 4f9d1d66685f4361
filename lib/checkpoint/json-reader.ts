import { isUtf8 } from 'node:buffer';
import { show, type LatteError } from '../errors.js';
import { showName } from './file.js';
import { maxNameBytes, type Budget } from './limits.js';

const maxDepth = 128;

/** The most bytes of white space in a row, except before and after the document. */
const maxSpace = 1024 * 1024;

const Byte = {
  Quote: 0x22,
  Comma: 0x2c,
  Minus: 0x2d,
  Point: 0x2e,
  Zero: 0x30,
  Nine: 0x39,
  Colon: 0x3a,
  OpenBracket: 0x5b,
  Backslash: 0x5c,
  CloseBracket: 0x5d,
  OpenBrace: 0x7b,
  CloseBrace: 0x7d,
} as const;

/**
 * Reads JSON from bytes, one value at a time in document order. JSON.parse is not suitable for an
 * untrusted header: it accepts duplicate names, does not distinguish `4e0` from `4`, and parses the
 * whole text before anything can be refused.
 * @internal
 */
export class JsonReader {
  readonly #bytes: Buffer;
  readonly #error: (message: string) => LatteError;
  #at = 0;
  /** Where reading must stop: the end of the document, or within {@link within} the bound of a value. */
  #end: number;
  #bound = '';

  private constructor(bytes: Buffer, error: (message: string) => LatteError) {
    this.#bytes = bytes;
    this.#error = error;
    this.#end = bytes.length;
  }

  /**
   * Checks the encoding, and skips leading white space, without blocking the event loop.
   * @param error makes the errors that this reader throws.
   */
  static async open(
    bytes: Buffer,
    error: (message: string) => LatteError,
    budget: Budget,
  ): Promise<JsonReader> {
    await budget.slices(bytes.length, (begin, end) => {
      // Move the end of the slice to the beginning of a character.
      while (end < bytes.length && end > begin && (bytes[end]! & 0xc0) === 0x80) end--;
      if (end === begin || !isUtf8(bytes.subarray(begin, end))) throw error('is not UTF-8');
      return end;
    });
    if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf)
      throw error('starts with a byte order mark');
    const reader = new JsonReader(bytes, error);
    await reader.#skipSpace(budget);
    return reader;
  }

  /** How many bytes were read so far. */
  get position(): number {
    return this.#at;
  }

  /** Calls `read`, which may read up to `most` bytes. @throws an error naming `what` if it reads more. */
  within<T>(most: number, what: string, read: () => T): T {
    const [end, bound] = [this.#end, this.#bound];
    if (this.#at + most < end) {
      this.#end = this.#at + most;
      this.#bound = `${what} takes more than ${most} bytes`;
    }
    try {
      return read();
    } finally {
      this.#end = end;
      this.#bound = bound;
    }
  }

  /** Yields the names of an object's fields. The caller must read each value, and refuse duplicate names. */
  *fields(what: string): Generator<string, void, void> {
    if (this.#next() !== Byte.OpenBrace) throw this.fail(`${what} must be an object`);
    this.#at++;
    if (this.#next() === Byte.CloseBrace) {
      this.#at++;
      return;
    }
    for (;;) {
      const name = this.string('a name');
      if (this.#next() !== Byte.Colon)
        throw this.fail(`a colon must follow the name ${showName(name)}`);
      this.#at++;
      yield name;
      const byte = this.#next();
      this.#at++;
      if (byte === Byte.CloseBrace) return;
      if (byte !== Byte.Comma)
        throw this.fail(`a comma or closing brace must follow ${showName(name)} in ${what}`);
    }
  }

  /** Reads an array; `onItem` must read each of its values. */
  array(what: string, onItem: () => void): void {
    if (this.#next() !== Byte.OpenBracket) throw this.fail(`${what} must be an array`);
    this.#at++;
    if (this.#next() === Byte.CloseBracket) {
      this.#at++;
      return;
    }
    for (;;) {
      onItem();
      const byte = this.#next();
      this.#at++;
      if (byte === Byte.CloseBracket) return;
      if (byte !== Byte.Comma)
        throw this.fail(`a comma or closing bracket must follow an item of ${what}`);
    }
  }

  /**
   * Reads a string.
   * @param most the most characters that it may have.
   * @param mostWritten the most bytes that it may take in the document; an escape takes six.
   */
  string(what: string, most = maxNameBytes, mostWritten = 6 * most): string {
    const { start, escaped } = this.#passString(what, mostWritten);
    const text = escaped
      ? this.#unescape(what, start)
      : this.#bytes.toString('utf8', start + 1, this.#at - 1);
    if (text.length > most) throw this.fail(`${what} is longer than ${most} characters`);
    return text;
  }

  /**
   * Reads a whole number from 0 that is written in digits only, without sign, fraction or exponent. Its
   * name in messages is `what[index]`.
   */
  wholeNumber(what: string, index: number): number {
    this.#next();
    const start = this.#at;
    let value = 0;
    let byte = this.#byteAt(this.#at);
    while (byte !== undefined && byte >= Byte.Zero && byte <= Byte.Nine) {
      value = value * 10 + (byte - Byte.Zero);
      byte = this.#byteAt(++this.#at);
    }
    const length = this.#at - start;
    const leadingZero = length > 1 && this.#bytes[start] === Byte.Zero;
    // Sign, point and exponent (e, E).
    const more =
      byte === Byte.Minus || byte === Byte.Point || (byte !== undefined && (byte | 0x20) === 0x65);
    if (length === 0 || leadingZero || more) {
      throw this.fail(`${what}[${index}] must be a whole number from 0, written in digits alone`);
    }
    if (!Number.isSafeInteger(value)) throw this.fail(`${what}[${index}] is larger than 2^53`);
    return value;
  }

  /** Steps over a value of any kind. Its bytes count against the budget. */
  skip(what: string, budget: Budget): void {
    const begin = this.#at;
    this.within(budget.left('skippedBytes'), what, () => this.#skip(what, 0));
    budget.spend('skippedBytes', this.#at - begin, this.#error);
  }

  /** Reads `null` if it comes next, and returns whether it did. */
  null(): boolean {
    this.#next();
    if (this.#bytes.toString('latin1', this.#at, this.#at + 4) !== 'null') return false;
    this.#at += 4;
    return true;
  }

  /** Checks that nothing but white space follows. */
  async end(budget: Budget): Promise<void> {
    await this.#skipSpace(budget);
    const byte = this.#byteAt(this.#at);
    if (byte !== undefined) {
      throw this.fail(
        byte === 0 ? 'a NUL byte follows the closing brace' : 'more follows the closing brace',
      );
    }
  }

  fail(message: string): LatteError {
    return this.#error(`${message} (at byte ${this.#at})`);
  }

  #skip(what: string, depth: number): void {
    if (depth > maxDepth) throw this.fail(`${what} is nested more than ${maxDepth} deep`);
    const byte = this.#next();
    if (byte === Byte.OpenBrace) {
      for (const name of this.fields(what)) {
        void name;
        this.#skip(what, depth + 1);
      }
      return;
    }
    if (byte === Byte.OpenBracket) return this.array(what, () => this.#skip(what, depth + 1));
    if (byte === Byte.Quote) return void this.#passString(what, Infinity);
    const start = this.#at;
    while (isScalarByte(this.#byteAt(this.#at))) this.#at++;
    const scalar = this.#bytes.toString('latin1', start, this.#at);
    if (!/^(true|false|null|-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?)$/.test(scalar)) {
      throw this.fail(`${what} holds ${show(scalar)}, which is not JSON`);
    }
  }

  #unescape(what: string, start: number): string {
    let text: string;
    try {
      text = JSON.parse(this.#bytes.toString('utf8', start, this.#at)) as string;
    } catch {
      throw this.fail(`${what} has an escape that JSON does not know`);
    }
    if (/\p{Surrogate}/u.test(text)) throw this.fail(`${what} has half a surrogate pair`);
    return text;
  }

  /** Steps over a string with its quotes. */
  #passString(what: string, most: number): { start: number; escaped: boolean } {
    if (this.#next() !== Byte.Quote) throw this.fail(`${what} must be a string`);
    const bytes = this.#bytes;
    const start = this.#at;
    const end = Math.min(this.#end, start + most + 2);
    let escaped = false;
    for (let at = start + 1; at < end; at++) {
      const byte = bytes[at]!;
      if (byte === Byte.Quote) {
        this.#at = at + 1;
        return { start, escaped };
      }
      if (byte < 0x20) {
        this.#at = at;
        throw this.fail(`${what} has a control character`);
      }
      if (byte === Byte.Backslash) {
        escaped = true;
        at++;
      }
    }
    this.#at = end;
    if (this.#byteAt(end) === undefined) throw this.fail(`${what} has no closing quote`);
    throw this.fail(`${what} is longer than ${most} bytes`);
  }

  /** Skips white space, and returns the next byte without stepping over it. */
  #next(): number | undefined {
    const start = this.#at;
    let byte = this.#byteAt(start);
    if (byte !== undefined && byte > 0x20) return byte;
    const bytes = this.#bytes;
    const end = Math.min(this.#end, start + maxSpace + 1);
    let at = start;
    while (at < end && isSpace(bytes[at])) at++;
    this.#at = at;
    byte = this.#byteAt(at);
    if (isSpace(byte))
      throw this.fail(`there are more than ${maxSpace} bytes of white space in a row`);
    return byte;
  }

  /** The byte at a position; undefined after the end of the document. */
  #byteAt(position: number): number | undefined {
    if (position < this.#end) return this.#bytes[position];
    if (this.#end < this.#bytes.length) throw this.fail(this.#bound);
    return undefined;
  }

  async #skipSpace(budget: Budget): Promise<void> {
    const start = this.#at;
    await budget.slices(this.#bytes.length - start, (begin, end) => {
      for (let i = start + begin; i < start + end; i++) {
        if (isSpace(this.#bytes[i])) continue;
        this.#at = i;
        return undefined;
      }
      this.#at = start + end;
      return end;
    });
  }
}

function isSpace(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
}

/** Whether a byte may be part of `true`, `false`, `null` or a number: a letter, a digit, `+`, `-`, `.`. */
function isScalarByte(byte: number | undefined): boolean {
  if (byte === undefined) return false;
  return (
    (byte >= 0x30 && byte <= 0x39) ||
    ((byte | 0x20) >= 0x61 && (byte | 0x20) <= 0x7a) ||
    byte === 0x2b ||
    byte === 0x2d ||
    byte === 0x2e
  );
}
