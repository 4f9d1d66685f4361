import { types } from 'node:util';
import { isArray, isRevoked, LatteError, show } from './errors.js';

// The default bound of whole numbers. The addon checks the products of several for overflow.
const mostDimension = 2 ** 31 - 1;

/**
 * Checks an options object that the caller gave. An option that is not in `names` is refused, unless
 * its value is undefined: a misspelt name would otherwise be ignored.
 * @param options undefined means no options.
 * @param ofSecond the options of the function's second argument, if `options` is its first.
 * @returns a copy; each option is read from the caller's object once.
 * @throws LatteError ERR_VALUE, which names the option, and a known name if that is nearly the same.
 * @internal
 */
export function checkOptions<T extends object>(
  options: T | undefined,
  names: readonly (keyof T & string)[],
  name = 'options',
  ofSecond: readonly string[] = [],
): Partial<T> {
  const copy = Object.create(null) as Partial<T>;
  if (options === undefined) return copy;
  const given = namesIn(options, names, name);
  const unknown = given.find(
    (key) =>
      !(names as readonly string[]).includes(key) &&
      (options as Record<string, unknown>)[key] !== undefined,
  );
  if (unknown !== undefined) throw unknownName(unknown, names, name, ofSecond);
  for (const key of names) copy[key] = options[key];
  return copy;
}

/**
 * The names of an object's options: its enumerable properties, inherited ones too. An instance of a
 * class (a Tensor, a Map, an AbortSignal …) is refused if it has no option of a known name: the
 * caller then passed it in the wrong position.
 */
function namesIn(options: unknown, known: readonly string[], name: string): string[] {
  if (typeof options === 'object' && options !== null && !isRevoked(options) && !isArray(options)) {
    const names: string[] = [];
    // A property that some library added to Object.prototype is not an option.
    for (const key in options) {
      if (Object.hasOwn(options, key) || !(key in Object.prototype)) names.push(key);
    }
    if (isPlain(options) || known.some((key) => names.includes(key))) return names;
  }
  throw new LatteError('ERR_VALUE', `${name} must be a plain object, but is ${show(options)}`);
}

/** Whether an object has the prototype of `{}`, of any realm, or none. */
function isPlain(value: object): boolean {
  const prototype = Object.getPrototypeOf(value) as object | null;
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

/**
 * Whether a value is an options object. For functions in which the options may follow directly if
 * the argument before them is left out.
 * @internal
 */
export function isOptions(value: unknown): value is object {
  if (typeof value !== 'object' || value === null || isRevoked(value)) return false;
  return !isArray(value) && isPlain(value);
}

/**
 * Refuses arguments after the last one that a function takes: they would be ignored.
 * @param most how many arguments the function takes.
 * @param call the function with its arguments, for the message: 'forward(latent, options)'.
 * @throws LatteError ERR_VALUE.
 * @internal
 */
export function checkArgumentCount(given: ArrayLike<unknown>, most: number, call: string): void {
  for (let i = most; i < given.length; i++) refuseArgument(given[i], i, call);
}

/**
 * Like {@link checkArgumentCount}, but refuses only objects and strings. For functions that callers
 * may give to `Array.prototype.map`, which adds an index and an array as arguments.
 * @internal
 */
export function checkNoOptions(given: ArrayLike<unknown>, most: number, call: string): void {
  for (let i = most; i < given.length; i++) {
    const value = given[i];
    if (typeof value === 'string' || (typeof value === 'object' && !isArray(value))) {
      refuseArgument(value, i, call);
    }
  }
}

function refuseArgument(value: unknown, index: number, call: string): void {
  if (value === undefined) return;
  const hint = isOptions(value) ? ': options are the last argument that is named here' : '';
  const has = call.includes('options') ? hint : '';
  throw new LatteError(
    'ERR_VALUE',
    `${call} takes no argument ${index + 1}, but got ${show(value)}${has}`,
  );
}

function unknownName(
  given: string,
  names: readonly string[],
  name: string,
  ofSecond: readonly string[],
): LatteError {
  const known = names.length === 0 ? 'there are none' : `known: ${names.join(', ')}`;
  const nearest = nearestName(given, names);
  const meant = nearest === undefined ? '' : `; did you mean ${JSON.stringify(nearest)}?`;
  const hint = ofSecond.includes(given) ? '; it belongs to the second argument' : meant;
  return new LatteError('ERR_VALUE', `${name} has no ${show(given)}${hint} (${known})`);
}

/** The element of `names` that is most like `given`; undefined if all of them differ much from it. */
function nearestName(given: string, names: readonly string[]): string | undefined {
  const plain = (name: string): string => name.toLowerCase().replaceAll(/[^a-z0-9]/g, '');
  const wanted = plain(given.slice(0, 60));
  const cost = (name: string): number => {
    const other = plain(name);
    // `torch_dtype` means `dtype`: if one name contains the other, the distance counts a quarter.
    const within = wanted.length > 2 && (wanted.includes(other) || other.includes(wanted));
    return editDistance(wanted, other) / (within ? 4 : 1);
  };
  const near = names.filter((name) => cost(name) <= Math.max(2, wanted.length / 3));
  return near.sort((a, b) => cost(a) - cost(b))[0];
}

/** How many letters must be inserted, deleted or replaced to make `to` of `from` (Levenshtein). */
function editDistance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, j) => j);
  for (let i = 1; i <= from.length; i++) {
    const next = [i];
    for (let j = 1; j <= to.length; j++) {
      const exchange = row[j - 1]! + (from[i - 1] === to[j - 1] ? 0 : 1);
      next.push(Math.min(exchange, row[j]! + 1, next[j - 1]! + 1));
    }
    row = next;
  }
  return row.at(-1)!;
}

/**
 * The entries of an object, or of a Map of any realm whose keys are strings.
 * @param what the kind of the values, for the message: 'tensors'.
 * @throws LatteError ERR_VALUE for any other value.
 * @internal
 */
export function checkEntries(value: unknown, name: string, what: string): [string, unknown][] {
  if (types.isMap(value)) {
    const entries: [string, unknown][] = [];
    Map.prototype.forEach.call(value, (entry: unknown, key: unknown) => {
      if (typeof key !== 'string') {
        throw new LatteError(
          'ERR_VALUE',
          `names in ${name} must be strings, but one is ${show(key)}`,
        );
      }
      entries.push([key, entry]);
    });
    return entries;
  }
  if (typeof value === 'object' && value !== null && !isRevoked(value) && !isArray(value)) {
    const entries = Object.entries(value);
    // Without entries only a plain object is accepted: a Tensor, or a proxy of a Map, has none either.
    if (entries.length > 0 ? !ArrayBuffer.isView(value) : isPlain(value)) return entries;
  }
  throw new LatteError(
    'ERR_VALUE',
    `${name} must be an object or a Map of ${what}, but is ${show(value)}`,
  );
}

/**
 * Checks a whole number in [least, most].
 * @param fallback what undefined means; without it the number is required.
 * @throws LatteError ERR_VALUE.
 * @internal
 */
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

/** Checks a finite number; undefined means `fallback`. @throws LatteError ERR_VALUE. @internal */
export function checkNumber(value: unknown, name: string, fallback: number): number {
  const given = value === undefined ? fallback : value;
  if (typeof given !== 'number' || !Number.isFinite(given)) {
    throw new LatteError('ERR_VALUE', `${name} must be a finite number, but is ${show(given)}`);
  }
  return given;
}

/** Checks a finite number above zero; undefined means `fallback`. @throws LatteError ERR_VALUE. @internal */
export function checkPositive(value: unknown, name: string, fallback: number): number {
  const given = checkNumber(value, name, fallback);
  if (given <= 0) {
    throw new LatteError('ERR_VALUE', `${name} must be above 0, but is ${given}`);
  }
  return given;
}

/** Checks a boolean; undefined means `fallback`. @throws LatteError ERR_VALUE. @internal */
export function checkBoolean(value: unknown, name: string, fallback: boolean): boolean {
  const given = value === undefined ? fallback : value;
  if (typeof given !== 'boolean') {
    throw new LatteError('ERR_VALUE', `${name} must be true or false, but is ${show(given)}`);
  }
  return given;
}
