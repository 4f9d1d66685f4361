// Counts the forwards that read or write a tensor's memory, and refuses work that would conflict.
import { LatteError } from '../errors.js';
import { handleOf, handleToReadNow, wrapsArray, type TensorState } from './state.js';

/**
 * Refuses a tensor that work on `device` would read while a forward still writes it in no defined
 * order with that work.
 *
 * Work on the tensor's own device runs in the order of its forwards, so it is never refused. Another
 * device copies a tensor from the cpu without waiting for the cpu's forwards, so that is refused. An
 * array of the caller is copied when the work starts, but filled only at the end of the forward that
 * writes it, so it is refused on every device.
 * @param name the name of the tensor in messages.
 * @throws LatteError ERR_STATE.
 * @internal
 */
export function checkOrder(state: TensorState, name: string, device: string): void {
  if (state.use.writes === 0) return;
  if (wrapsArray(state)) {
    throw new LatteError(
      'ERR_STATE',
      `${name} is over an array that a forward will still fill: await that first`,
    );
  }
  if (isDistant(state, device)) {
    throw new LatteError(
      'ERR_STATE',
      `${name} is still being written by a forward on the cpu: await that before ${name} goes to ${device}`,
    );
  }
}

/**
 * Counts work on a device as a reader of the tensor.
 * @returns a function to call once the work has settled.
 * @throws LatteError as {@link checkOrder}.
 * @internal
 */
export function startReading(state: TensorState, name: string, device: string): () => void {
  checkOrder(state, name, device);
  return countReading(state, { distant: isDistant(state, device) });
}

/**
 * Counts JavaScript as a reader of the tensor, for a function that reads over several turns of the
 * event loop.
 * @returns a function to call once nothing is read any more.
 * @throws LatteError as {@link handleOf}; ERR_STATE if a forward still writes a tensor on the cpu.
 * @internal
 */
export function startReadingHere(state: TensorState, name: string): () => void {
  if (state.device === 'cpu') handleToReadNow(state, name);
  else handleOf(state, name);
  return countReading(state, { distant: true });
}

/** @param options `distant`: see {@link Use.distantReads}. */
function countReading({ use }: TensorState, options: { distant: boolean }): () => void {
  const count = options.distant ? 1 : 0;
  use.reads++;
  use.distantReads += count;
  return () => {
    use.reads--;
    use.distantReads -= count;
  };
}

function isDistant(state: TensorState, device: string): boolean {
  return state.device === 'cpu' && device !== 'cpu';
}
