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
  override readonly name = 'LatteError';
  readonly code: LatteErrorCode;
  readonly path?: string;
  readonly aclCode?: number;
  readonly operation?: string;

  constructor(code: LatteErrorCode, message: string, details: LatteErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    if (details.path !== undefined) this.path = details.path;
    if (details.aclCode !== undefined) this.aclCode = details.aclCode;
    if (details.operation !== undefined) this.operation = details.operation;
  }
}

/**
 * A short picture of any JavaScript value for error messages: never throws, never long, never runs
 * code of the value's own (a getter, a proxy or a toString might).
 */
export function show(value: unknown): string {
  if (typeof value === 'string') {
    return value.length > 60 ? `${JSON.stringify(value.slice(0, 60))}…` : JSON.stringify(value);
  }
  if (typeof value === 'bigint') return `${value}n`;
  if (typeof value === 'function') return 'a function';
  if (typeof value === 'symbol') return 'a symbol';
  if (value instanceof DataView) return 'a DataView';
  if (ArrayBuffer.isView(value)) {
    const array = value as Uint8Array;
    return `a ${array[Symbol.toStringTag]}(${array.length})`;
  }
  if (Array.isArray(value)) {
    const head = value
      .slice(0, 8)
      .map((item) => (typeof item === 'object' && item !== null ? '…' : show(item)));
    return `[${head.join(', ')}${value.length > 8 ? ', …' : ''}]`;
  }
  if (typeof value === 'object' && value !== null) return 'an object';
  return String(value);
}

/** A shape as messages show it: `[2, 4, 64, 64]`. */
export function showShape(shape: readonly number[]): string {
  return `[${shape.join(', ')}]`;
}
