import { LatteError } from 'latte-embeddings';

/** The kinds of errors. Each transport maps them to its own codes. */
export type ErrorKind =
  | 'invalid'
  | 'notFound'
  | 'tooLarge'
  | 'busy'
  | 'unavailable'
  | 'deadline'
  | 'cancelled'
  | 'internal';

/** An error whose message is sent to the client. */
export class ProtocolError extends Error {
  readonly kind: ErrorKind;

  constructor(kind: ErrorKind, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'ProtocolError';
    this.kind = kind;
  }
}

export function invalid(message: string): ProtocolError {
  return new ProtocolError('invalid', message);
}

const kindsOfLatteErrors: Record<string, ErrorKind> = {
  ERR_SHAPE: 'invalid',
  ERR_DTYPE: 'invalid',
  ERR_VALUE: 'invalid',
  ERR_OUT_OF_MEMORY: 'busy',
  ERR_DEVICE: 'unavailable',
  ERR_DEVICE_UNAVAILABLE: 'unavailable',
  ERR_ABORTED: 'cancelled',
};

/**
 * The error that is sent to the client for any error. The message of an unexpected error is not sent, only
 * logged, because it may contain paths of this machine.
 */
export function toProtocolError(error: unknown): ProtocolError {
  if (error instanceof ProtocolError) return error;
  if (error instanceof LatteError) {
    const kind = kindsOfLatteErrors[error.code];
    if (kind !== undefined) return new ProtocolError(kind, error.message, { cause: error });
  }
  return new ProtocolError('internal', 'internal error', { cause: error });
}

/** A short text for a value of a request, for messages. */
export function show(value: unknown): string {
  const text = typeof value === 'string' ? JSON.stringify(value) : describe(value);
  return text.length > 80 ? `${text.slice(0, 77)}…` : text;
}

function describe(value: unknown): string {
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (typeof value === 'object' && value !== null) return 'an object';
  return String(value);
}
