// AbortSignals that came from the caller: what they are is asked of the runtime's own functions, so
// that nothing which a caller put on a signal runs in the middle of a forward.
import { LatteError, show } from './errors.js';

/* eslint-disable @typescript-eslint/unbound-method -- each is called with Reflect.apply */
type Call = (this: unknown, ...values: unknown[]) => unknown;
const getter = (name: 'aborted' | 'reason'): Call =>
  Object.getOwnPropertyDescriptor(AbortSignal.prototype, name)!.get as Call;
const abortedOf = getter('aborted');
const reasonOf = getter('reason');
const addEventListener = EventTarget.prototype.addEventListener as Call;
const removeEventListener = EventTarget.prototype.removeEventListener as Call;
/* eslint-enable @typescript-eslint/unbound-method */

/** Whether the signal was aborted. @internal */
export function isAborted(signal: AbortSignal): boolean {
  return Reflect.apply(abortedOf, signal, []) as boolean;
}

/** @throws LatteError ERR_VALUE for what is no AbortSignal, though it may look like one. @internal */
export function checkSignal(value: unknown): AbortSignal {
  try {
    isAborted(value as AbortSignal);
    return value as AbortSignal;
  } catch {
    throw new LatteError('ERR_VALUE', `signal must be an AbortSignal, but is ${show(value)}`);
  }
}

interface Waiting {
  readonly cancels: Set<() => void>;
  readonly listener: () => void;
}

const waitingFor = new WeakMap<AbortSignal, Waiting>();

function listen(signal: AbortSignal): Waiting {
  const cancels = new Set<() => void>();
  const listener = (): void => {
    waitingFor.delete(signal);
    for (const cancel of cancels) cancel();
  };
  Reflect.apply(addEventListener, signal, ['abort', listener, { once: true }]);
  const waiting = { cancels, listener };
  waitingFor.set(signal, waiting);
  return waiting;
}

/**
 * Calls `cancel` when the signal is aborted, until the function that it returns is called. All
 * callers share one listener of a signal: Node.js warns of a leak from the eleventh on.
 * @internal
 */
export function onAbort(signal: AbortSignal, cancel: () => void): () => void {
  const waiting = waitingFor.get(signal) ?? listen(signal);
  const { cancels, listener } = waiting;
  cancels.add(cancel);
  return () => {
    cancels.delete(cancel);
    if (cancels.size > 0 || waitingFor.get(signal) !== waiting) return;
    waitingFor.delete(signal);
    Reflect.apply(removeEventListener, signal, ['abort', listener]);
  };
}

/** The error of work that its signal has ended. @internal */
export function abortError(signal: AbortSignal, work = 'the forward'): LatteError {
  return new LatteError('ERR_ABORTED', `${work} was aborted`, {
    cause: Reflect.apply(reasonOf, signal, []),
  });
}
