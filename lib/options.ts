import { LatteError, show } from './errors.js';

// Dimensions are bounded so that products of a few of them stay exact, in JavaScript and in C++.
const mostDimension = 2 ** 31 - 1;

/**
 * Checks an options object that came from the caller: a plain object, or undefined for none.
 * @internal
 */
export function checkOptions<T extends object>(options: T | undefined, name = 'options'): T {
  if (options === undefined) return {} as T;
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw new LatteError('ERR_VALUE', `${name} must be an object, but is ${show(options)}`);
  }
  return options;
}

/** A whole number in [least, most]. @internal */
export function checkInteger(
  value: unknown,
  name: string,
  fallback?: number,
  least = 1,
  most = mostDimension,
): number {
  const given = value === undefined ? fallback : value;
  if (typeof given !== 'number' || !Number.isInteger(given) || given < least || given > most) {
    throw new LatteError(
      'ERR_VALUE',
      `${name} must be a whole number from ${least} to ${most}, but is ${show(given)}`,
    );
  }
  return given;
}

/** A finite number. @internal */
export function checkNumber(value: unknown, name: string, fallback: number): number {
  const given = value === undefined ? fallback : value;
  if (typeof given !== 'number' || !Number.isFinite(given)) {
    throw new LatteError('ERR_VALUE', `${name} must be a finite number, but is ${show(given)}`);
  }
  return given;
}

/** A finite number above zero. @internal */
export function checkPositive(value: unknown, name: string, fallback: number): number {
  const given = checkNumber(value, name, fallback);
  if (given <= 0) {
    throw new LatteError('ERR_VALUE', `${name} must be above 0, but is ${given}`);
  }
  return given;
}

/** @internal */
export function checkBoolean(value: unknown, name: string, fallback: boolean): boolean {
  const given = value === undefined ? fallback : value;
  if (typeof given !== 'boolean') {
    throw new LatteError('ERR_VALUE', `${name} must be true or false, but is ${show(given)}`);
  }
  return given;
}
