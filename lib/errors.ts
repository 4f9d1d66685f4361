import { types } from 'node:util';

/**
 * The stable codes of {@link LatteError}. Messages may be reworded between releases; codes may not.
 *
 * - `ERR_SHAPE`: a tensor has another shape than the one that is needed.
 * - `ERR_DTYPE`: a tensor or an array has another dtype than those that are accepted.
 * - `ERR_VALUE`: an argument or an option has a value that is not accepted, or an unknown name.
 * - `ERR_STATE`: the call does not fit the state of the object. For example, a layer has no weights,
 *   a tensor is on another device, or a forward still writes it.
 * - `ERR_DISPOSED`: an object was disposed before the call.
 * - `ERR_DEVICE_UNAVAILABLE`: the device does not exist, or cannot be opened; the message has the
 *   reason.
 * - `ERR_DEVICE`: the device failed at an operation; see `aclCode` and `operation`.
 * - `ERR_OUT_OF_MEMORY`: the host or the device has no memory for the result.
 * - `ERR_CHECKPOINT`: a file is missing, malformed, or does not fit its configuration; see `path`.
 * - `ERR_ABORTED`: the caller's AbortSignal was aborted; its reason is the error's `cause`.
 */
export type LatteErrorCode =
  | 'ERR_SHAPE'
  | 'ERR_DTYPE'
  | 'ERR_VALUE'
  | 'ERR_STATE'
  | 'ERR_DISPOSED'
  | 'ERR_DEVICE_UNAVAILABLE'
  | 'ERR_DEVICE'
  | 'ERR_OUT_OF_MEMORY'
  | 'ERR_CHECKPOINT'
  | 'ERR_ABORTED';

/** What an error has beside its code and message. */
export interface LatteErrorDetails {
  /** The file that was being read (ERR_CHECKPOINT). */
  path?: string;
  /** The device runtime's own error number (ERR_DEVICE). */
  aclCode?: number;
  /** The operation that failed (ERR_DEVICE). */
  operation?: string;
  /** The error or the abort reason that led to this error. */
  cause?: unknown;
}

/**
 * The class of every error that this package throws on purpose. Programs should test
 * {@link LatteError.code}, not the message.
 * @example
 * ```ts
 * try {
 *   await layer.forward(latent);
 * } catch (error) {
 *   if (!(error instanceof LatteError && error.code === 'ERR_OUT_OF_MEMORY')) throw error;
 * }
 * ```
 */
export class LatteError extends Error {
  readonly code: LatteErrorCode;
  /** The file that was being read (ERR_CHECKPOINT). */
  declare readonly path?: string;
  /** The device runtime's own error number (ERR_DEVICE). */
  declare readonly aclCode?: number;
  /** The operation that failed (ERR_DEVICE). */
  declare readonly operation?: string;

  static {
    // A property of the prototype, as in JavaScript's own error classes.
    Object.defineProperty(this.prototype, 'name', { value: 'LatteError', configurable: true });
  }

  constructor(code: LatteErrorCode, message: string, details: LatteErrorDetails = {}) {
    const { cause, ...fields } = details;
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    for (const [name, value] of Object.entries(fields)) {
      if (value !== undefined) Object.assign(this, { [name]: value });
    }
  }
}

const typedArrayPrototype = Object.getPrototypeOf(Uint8Array.prototype) as object;
/**
 * The kind of a typed array of any realm ('Float32Array' …), or undefined for any other value. Runs
 * no code of the value itself.
 */
export function typedArrayKind(value: unknown): string | undefined {
  // The getter of the prototype reads the value's true kind. A property of the value could be false.
  return Reflect.get(typedArrayPrototype, Symbol.toStringTag, value) as string | undefined;
}

/**
 * Reads a field of a typed array with the getter of its prototype, so that a property of this name
 * on the array, or on a subclass, has no effect.
 */
export function typedArrayField<Name extends 'buffer' | 'byteOffset' | 'byteLength' | 'length'>(
  array: ArrayBufferView,
  name: Name,
): Uint8Array[Name] {
  return Reflect.get(typedArrayPrototype, name, array);
}

/** Whether a value is a proxy that was revoked: every operation on it throws a TypeError. */
export function isRevoked(value: unknown): boolean {
  if (!types.isProxy(value)) return false;
  try {
    // Throws for a revoked proxy, and calls no trap of another one.
    Array.isArray(value);
    return false;
  } catch {
    return true;
  }
}

/** Array.isArray, except that this returns false for a revoked proxy instead of throwing. */
export function isArray(value: unknown): value is unknown[] {
  return !isRevoked(value) && Array.isArray(value);
}

/** 'an object of class Map' …; 'an object' for a plain one. Runs no code of the value itself. */
function showObject(value: object): string {
  const prototype = Object.getPrototypeOf(value) as object | null;
  if (prototype === null || types.isProxy(prototype)) return 'an object';
  const kind: unknown = Object.getOwnPropertyDescriptor(prototype, 'constructor')?.value;
  if (typeof kind !== 'function' || types.isProxy(kind)) return 'an object';
  const name: unknown = Object.getOwnPropertyDescriptor(kind, 'name')?.value;
  if (typeof name !== 'string' || !/^[A-Z]\w{0,39}$/.test(name)) return 'an object';
  return name === 'Object' ? 'an object' : `an object of class ${name}`;
}

/**
 * A short text for any JavaScript value, for error messages. Never throws, and never runs code of
 * the value itself (a getter, a proxy's trap or a toString).
 */
export function show(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return value.length > 60 ? `${JSON.stringify(value.slice(0, 60))}…` : JSON.stringify(value);
    case 'bigint':
      return -(2n ** 64n) < value && value < 2n ** 64n ? `${value}n` : 'a large bigint';
    case 'function':
      return 'a function';
    case 'symbol':
      return 'a symbol';
    case 'object':
      break;
    default:
      return String(value);
  }
  if (value === null) return 'null';
  if (types.isProxy(value)) return isRevoked(value) ? 'a revoked proxy' : 'an object';
  const kind = typedArrayKind(value);
  if (kind !== undefined)
    return `a ${kind}(${String(typedArrayField(value as ArrayBufferView, 'length'))})`;
  if (types.isDataView(value)) return 'a DataView';
  if (!Array.isArray(value)) return showObject(value);
  const items = Array.from({ length: Math.min(value.length, 8) }, (_, i): unknown => {
    const item = Object.getOwnPropertyDescriptor(value, i);
    return item !== undefined && 'value' in item ? item.value : undefined;
  });
  const shown = items.map((item) => (typeof item === 'object' && item !== null ? '…' : show(item)));
  return `[${shown.join(', ')}${value.length > 8 ? ', …' : ''}]`;
}

/** A shape as messages show it: `[2, 4, 64, 64]`. */
export function showShape(shape: readonly number[]): string {
  return `[${shape.join(', ')}]`;
}
