// AbortSignals that the caller gave. They are read with the runtime's own getters and methods, so
// that no property that a caller put on a signal runs in the middle of a forward.
import { LatteError, show } from './errors.js';

/* eslint-disable @typescript-eslint/unbound-method -- each is called with Reflect.apply */
type Method = (this: unknown, ...values: unknown[]) => unknown;
const getter = (name: 'aborted' | 'reason'): Method =>
  Object.getOwnPropertyDescriptor(AbortSignal.prototype, name)!.get as Method;
const abortedOf = getter('aborted');
const reasonOf = getter('reason');
const addEventListener = EventTarget.prototype.addEventListener as Method;
const removeEventListener = EventTarget.prototype.removeEventListener as Method;
/* eslint-enable @typescript-eslint/unbound-method */

/** Whether the signal was aborted. @internal */
export function isAborted(signal: AbortSignal): boolean {
  return Reflect.apply(abortedOf, signal, []) as boolean;
}

/** @throws LatteError ERR_VALUE unless the value is an AbortSignal; a look-alike is refused. @internal */
export function checkSignal(value: unknown): AbortSignal {
  try {
    isAborted(value as AbortSignal);
    return value as AbortSignal;
  } catch {
    throw new LatteError('ERR_VALUE', `signal must be an AbortSignal, but is ${show(value)}`);
  }
}

/** The listener of a signal, and the functions that it calls. */
interface Subscription {
  readonly cancels: Set<() => void>;
  readonly listener: () => void;
}

const subscriptions = new WeakMap<AbortSignal, Subscription>();

function subscribe(signal: AbortSignal): Subscription {
  const cancels = new Set<() => void>();
  const listener = (): void => {
    subscriptions.delete(signal);
    for (const cancel of cancels) cancel();
  };
  Reflect.apply(addEventListener, signal, ['abort', listener, { once: true }]);
  const subscription = { cancels, listener };
  subscriptions.set(signal, subscription);
  return subscription;
}

/**
 * Calls `cancel` once the signal is aborted. All calls for a signal share one listener, because
 * Node.js warns of a leak if a signal has more than ten.
 * @returns a function that takes `cancel` back.
 * @internal
 */
export function onAbort(signal: AbortSignal, cancel: () => void): () => void {
  const subscription = subscriptions.get(signal) ?? subscribe(signal);
  const { cancels, listener } = subscription;
  cancels.add(cancel);
  return () => {
    cancels.delete(cancel);
    if (cancels.size > 0 || subscriptions.get(signal) !== subscription) return;
    subscriptions.delete(signal);
    Reflect.apply(removeEventListener, signal, ['abort', listener]);
  };
}

/** ERR_ABORTED for work whose signal was aborted; the signal's reason is the error's cause. @internal */
export function abortError(signal: AbortSignal, work = 'the forward'): LatteError {
  return new LatteError('ERR_ABORTED', `${work} was aborted`, {
    cause: Reflect.apply(reasonOf, signal, []),
  });
}
