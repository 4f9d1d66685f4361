import type { Entry } from './entry.js';

let starts = 0;

/** A device, and its running work. */
export class Device {
  readonly name: string;
  readonly kind: 'cpu' | 'npu';
  /** Whether the self-test failed after an error. A lost device gets no more runs. */
  lost = false;
  /** The number of its current runs. */
  runs = 0;
  /** The number of the last start, counted over all devices. A smaller number is longer ago. */
  lastStart = 0;
  readonly entries = new Set<Entry>();

  constructor(name: string) {
    this.name = name;
    this.kind = name.startsWith('npu') ? 'npu' : 'cpu';
  }

  /**
   * Counts a run of these entries. The signal is aborted once all entries have failed (by a deadline, or
   * because their clients disconnected). Call `done` at the end of the run.
   */
  start(entries: readonly Entry[]): { signal: AbortSignal; done: () => void } {
    const controller = new AbortController();
    let waiting = entries.length;
    this.runs++;
    this.lastStart = ++starts;
    for (const entry of entries) {
      this.entries.add(entry);
      entry.start(() => {
        if (--waiting === 0) controller.abort();
      });
    }
    const done = (): void => {
      this.runs--;
      for (const entry of entries) this.entries.delete(entry);
    };
    return { signal: controller.signal, done };
  }
}
