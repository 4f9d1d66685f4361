import { show } from '../errors.js';
import { checkpointError } from './file.js';

/** Reads the fields of a config.json, which is untrusted: inherited properties do not count. @internal */
export class Fields {
  readonly #path: string;
  readonly #raw: Record<string, unknown>;

  constructor(path: string, raw: Record<string, unknown>) {
    this.#path = path;
    this.#raw = raw;
  }

  /** The value of a field; undefined if it is left out. A null field is present, as in Python. */
  get(name: string): unknown {
    return Object.hasOwn(this.#raw, name) ? this.#raw[name] : undefined;
  }

  /** The value of a field; `fallback` if it is left out. */
  withDefault(name: string, fallback: unknown): unknown {
    return Object.hasOwn(this.#raw, name) ? this.#raw[name] : fallback;
  }

  /** An ERR_CHECKPOINT error about the file. */
  fail(message: string): Error {
    return checkpointError(this.#path, message);
  }

  /** An ERR_CHECKPOINT error about a field that is missing or has another value than `expected`. */
  wrong(name: string, expected: string): Error {
    if (!Object.hasOwn(this.#raw, name))
      return checkpointError(this.#path, `${name} is missing; it must be ${expected}`);
    return checkpointError(
      this.#path,
      `${name} must be ${expected}, but is ${show(this.#raw[name])}`,
    );
  }

  /** A whole number from 1 to `max`. @throws LatteError ERR_CHECKPOINT. */
  wholeNumber(name: string, max: number, fallback: unknown): number {
    const value = this.withDefault(name, fallback);
    if (isLength(value, max)) return value;
    throw this.wrong(name, `a whole number from 1 to ${max}`);
  }

  /** A boolean; null if the field is null or left out. @throws LatteError ERR_CHECKPOINT. */
  boolean(name: string): boolean | null {
    const value = this.withDefault(name, null);
    if (typeof value === 'boolean' || value === null) return value;
    throw this.wrong(name, 'true, false or null');
  }

  /** A finite number. @throws LatteError ERR_CHECKPOINT. */
  number(name: string, fallback: number): number {
    const value = this.withDefault(name, fallback);
    if (typeof value === 'number' && Number.isFinite(value)) return value;
    throw this.wrong(name, 'a finite number');
  }

  /** A positive number; null if the field is null or left out. @throws LatteError ERR_CHECKPOINT. */
  scale(name: string): number | null {
    const value = this.withDefault(name, null);
    if (value === null || (typeof value === 'number' && Number.isFinite(value) && value > 0))
      return value;
    throw this.wrong(name, 'a positive number or null');
  }

  /** [height, width]; the field may be one number for both. @throws LatteError ERR_CHECKPOINT. */
  sampleSize(name: string, fallback: unknown): [number, number] {
    const max = 16_384;
    const value = this.withDefault(name, fallback);
    const sides: unknown[] = Array.isArray(value) ? value : [value, value];
    const [height, width] = sides;
    if (sides.length === 2 && isLength(height, max) && isLength(width, max)) return [height, width];
    throw this.wrong(name, `a whole number from 1 to ${max}, or [height, width] of such`);
  }
}

function isLength(value: unknown, max: number): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= max;
}
