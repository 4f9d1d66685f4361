import { performance } from 'node:perf_hooks';

/** The turns of the event loop during some work, in milliseconds. */
export interface Turns {
  /** The longest time between two turns. */
  longest: number;
  /** From the call of `start` until its promise settled. */
  duration: number;
}

/** Measures the turns of the event loop from the call of `start` until its promise settles. */
export async function longestTurn(start: () => Promise<unknown>): Promise<Turns> {
  let running = true;
  let longest = 0;
  const begin = performance.now();
  let last = begin;
  const stop = (): void => {
    running = false;
  };
  const started = start();
  started.then(stop, stop);
  while (running) {
    await new Promise(setImmediate);
    const now = performance.now();
    longest = Math.max(longest, now - last);
    last = now;
  }
  await started;
  return { longest, duration: performance.now() - begin };
}
