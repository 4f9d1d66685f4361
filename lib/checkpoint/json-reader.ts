import { isUtf8 } from 'node:buffer';
import { show, type LatteError } from '../errors.js';
import { showName } from './file.js';

const maxDepth = 128;

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
 * Reads JSON from bytes, one value at a time in document order. JSON.parse will not do for a
 * checkpoint's header: it lets duplicate names through, and does not tell `4e0` from `4`.
 * @internal
 */
export class JsonReader {
  readonly #bytes: Buffer;
  readonly #error: (message: string) => LatteError;
  #at = 0;

  /** @param error makes the error that is thrown. */
  constructor(bytes: Buffer, error: (message: string) => LatteError) {
    this.#bytes = bytes;
    this.#error = error;
    if (!isUtf8(bytes)) throw error('is not UTF-8');
    if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf)
      throw error('starts with a byte order mark');
  }

  /** Reads an object; `onField` must read the value of each name. Duplicates are the caller's to refuse. */
  object(what: string, onField: (name: string) => void): void {
    if (this.#next() !== Byte.OpenBrace) throw this.fail(`${what} must be an object`);
    this.#at++;
    if (this.#next() === Byte.CloseBrace) {
      this.#at++;
      return;
    }
    for (;;) {
      this.#next();
      const name = this.string('a name');
      if (this.#next() !== Byte.Colon)
        throw this.fail(`a colon must follow the name ${showName(name)}`);
      this.#at++;
      onField(name);
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

  string(what: string): string {
    if (this.#next() !== Byte.Quote) throw this.fail(`${what} must be a string`);
    const start = this.#at++;
    let escaped = false;
    for (;;) {
      const byte = this.#bytes[this.#at++];
      if (byte === Byte.Quote) break;
      if (byte === undefined) throw this.fail(`${what} has no closing quote`);
      if (byte < 0x20) throw this.fail(`${what} has a control character`);
      if (byte === Byte.Backslash) {
        escaped = true;
        this.#at++;
      }
    }
    if (!escaped) return this.#bytes.toString('utf8', start + 1, this.#at - 1);
    let text: string;
    try {
      text = JSON.parse(this.#bytes.toString('utf8', start, this.#at)) as string;
    } catch {
      throw this.fail(`${what} has an escape that JSON does not know`);
    }
    if (/\p{Surrogate}/u.test(text)) throw this.fail(`${what} has half a surrogate pair`);
    return text;
  }

  /**
   * Reads a whole number from 0 that is written in digits alone: no sign, fraction or exponent.
   * Messages call it `what[index]`.
   */
  wholeNumber(what: string, index: number): number {
    this.#next();
    const start = this.#at;
    let value = 0;
    let byte = this.#bytes[this.#at];
    while (byte !== undefined && byte >= Byte.Zero && byte <= Byte.Nine) {
      value = value * 10 + (byte - Byte.Zero);
      byte = this.#bytes[++this.#at];
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

  /** Reads any value and forgets it. */
  skip(what: string, depth = 0): void {
    if (depth > maxDepth) throw this.fail(`${what} is nested more than ${maxDepth} deep`);
    const byte = this.#next();
    if (byte === Byte.OpenBrace) return this.object(what, () => this.skip(what, depth + 1));
    if (byte === Byte.OpenBracket) return this.array(what, () => this.skip(what, depth + 1));
    if (byte === Byte.Quote) return void this.string(what);
    const start = this.#at;
    while (isScalarByte(this.#bytes[this.#at])) this.#at++;
    const scalar = this.#bytes.toString('latin1', start, this.#at);
    if (!/^(true|false|null|-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?)$/.test(scalar)) {
      throw this.fail(`${what} holds ${show(scalar)}, which is not JSON`);
    }
  }

  /** Whether `null` comes next; reads it if so. */
  null(): boolean {
    this.#next();
    if (this.#bytes.toString('latin1', this.#at, this.#at + 4) !== 'null') return false;
    this.#at += 4;
    return true;
  }

  /** Only white space may follow. */
  end(): void {
    const byte = this.#next();
    if (byte !== undefined) {
      throw this.fail(
        byte === 0 ? 'a NUL byte follows the closing brace' : 'more follows the closing brace',
      );
    }
  }

  fail(message: string): LatteError {
    return this.#error(`${message} (at byte ${this.#at})`);
  }

  /** The next byte that is no white space, not yet consumed. */
  #next(): number | undefined {
    let byte = this.#bytes[this.#at];
    while (byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09)
      byte = this.#bytes[++this.#at];
    return byte;
  }
}

/** Letters, digits, `+`, `-` and `.`: what `true`, `null` and numbers are made of. */
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
