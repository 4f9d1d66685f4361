// Which forwards read or write a tensor's memory, and which work on it is refused meanwhile.
import { LatteError } from '../errors.js';
import { handleOf, handleToReadNow, wrapsArray, type TensorState } from './state.js';

/**
 * Refuses a tensor that a device's work would read while a forward of another device writes it.
 *
 * A device copies its own tensors out in the order of its forwards, so those are never refused. A
 * tensor on the cpu is copied in by the device that needs it, which does not wait for the cpu's
 * forwards. An array of the caller is copied when the work is asked for, but filled only when the
 * forward that writes it ends.
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
 * @returns a function that ends the reading.
 * @throws LatteError as {@link checkOrder}.
 * @internal
 */
export function startReading(state: TensorState, name: string, device: string): () => void {
  checkOrder(state, name, device);
  return countReading(state, isDistant(state, device));
}

/**
 * Counts JavaScript that reads the tensor over several turns of the event loop as a reader.
 * @returns a function that ends the reading.
 * @throws LatteError as {@link handleOf}; ERR_STATE while a forward writes a tensor on the cpu.
 * @internal
 */
export function startReadingHere(state: TensorState, name: string): () => void {
  if (state.device === 'cpu') handleToReadNow(state, name);
  else handleOf(state, name);
  return countReading(state, true);
}

function countReading({ use }: TensorState, distant: boolean): () => void {
  const count = distant ? 1 : 0;
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
