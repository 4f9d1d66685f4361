import { types } from 'node:util';

/**
 * The stable codes of {@link LatteError}. Messages may be reworded between releases; codes may not.
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

/** What an error carries beside its code and message. */
export interface LatteErrorDetails {
  /** The file that was being read (ERR_CHECKPOINT). */
  path?: string;
  /** The device runtime's own error number (ERR_DEVICE). */
  aclCode?: number;
  /** The operation that failed (ERR_DEVICE). */
  operation?: string;
  /** What made this error happen. */
  cause?: unknown;
}

/** Every error that this package throws on purpose. */
export class LatteError extends Error {
  readonly code: LatteErrorCode;
  /** The file that was being read (ERR_CHECKPOINT). */
  declare readonly path?: string;
  /** The device runtime's own error number (ERR_DEVICE). */
  declare readonly aclCode?: number;
  /** The operation that failed (ERR_DEVICE). */
  declare readonly operation?: string;

  static {
    // On the prototype, as the errors of JavaScript itself have it.
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
 * no code of the value's own.
 */
export function typedArrayKind(value: unknown): string | undefined {
  // A getter of the prototype, called on the value: the result is the value's true kind, not what a property of it claims.
  return Reflect.get(typedArrayPrototype, Symbol.toStringTag, value) as string | undefined;
}

/**
 * A field of a typed array as the array itself knows it. A property of this name that the caller
 * put on the array, or on a subclass, does not count.
 */
export function typedArrayField<Name extends 'buffer' | 'byteOffset' | 'byteLength' | 'length'>(
  array: ArrayBufferView,
  name: Name,
): Uint8Array[Name] {
  return Reflect.get(typedArrayPrototype, name, array);
}

/** Whether a value is a proxy that was revoked: everything that is asked of it throws a TypeError. */
export function isRevoked(value: unknown): boolean {
  if (!types.isProxy(value)) return false;
  try {
    // Asks no trap of a live proxy.
    Array.isArray(value);
    return false;
  } catch {
    return true;
  }
}

/** Array.isArray, which throws for a revoked proxy: this returns false. */
export function isArray(value: unknown): value is unknown[] {
  return !isRevoked(value) && Array.isArray(value);
}

/** 'an object of class Map' …; 'an object' if it is a plain one. Runs no code of the value's own. */
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
 * A short picture of any JavaScript value for error messages: never throws, never long, never runs
 * code of the value's own (a getter, a proxy or a toString might).
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
