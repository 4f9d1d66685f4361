import { show } from '../errors.js';
import { checkpointError } from './file.js';

/** Reads fields of an untrusted object: only its own ones. @internal */
export class Fields {
  readonly #path: string;
  readonly #raw: Record<string, unknown>;

  constructor(path: string, raw: Record<string, unknown>) {
    this.#path = path;
    this.#raw = raw;
  }

  /** A field that is left out is undefined. One that is null is there, as in Python. */
  get(name: string): unknown {
    return Object.hasOwn(this.#raw, name) ? this.#raw[name] : undefined;
  }

  /** @param fallback the default of a field that is left out; none if undefined. */
  withDefault(name: string, fallback: unknown): unknown {
    return Object.hasOwn(this.#raw, name) ? this.#raw[name] : fallback;
  }

  fail(message: string): Error {
    return checkpointError(this.#path, message);
  }

  wrong(name: string, expected: string): Error {
    if (!Object.hasOwn(this.#raw, name))
      return checkpointError(this.#path, `${name} is missing; it must be ${expected}`);
    return checkpointError(
      this.#path,
      `${name} must be ${expected}, but is ${show(this.#raw[name])}`,
    );
  }

  wholeNumber(name: string, max: number, fallback: unknown): number {
    const value = this.withDefault(name, fallback);
    if (isLength(value, max)) return value;
    throw this.wrong(name, `a whole number from 1 to ${max}`);
  }

  /** true, false, or null for a class's own rule. */
  boolean(name: string): boolean | null {
    const value = this.withDefault(name, null);
    if (typeof value === 'boolean' || value === null) return value;
    throw this.wrong(name, 'true, false or null');
  }

  /** A positive number, or null for a class's own rule. */
  scale(name: string): number | null {
    const value = this.withDefault(name, null);
    if (value === null || (typeof value === 'number' && Number.isFinite(value) && value > 0))
      return value;
    throw this.wrong(name, 'a positive number or null');
  }

  /** A number for both sides, or [height, width]. */
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
