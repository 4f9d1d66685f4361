import type { Entry } from './entry.js';

let starts = 0;

/** A device's share of the work. */
export class Device {
  readonly name: string;
  readonly kind: 'cpu' | 'npu';
  /** Its self-test failed after an error: it takes no more runs. */
  lost = false;
  /** The runs that are under way. */
  runs = 0;
  /** Counts the starts of all devices: the smaller, the longer ago. */
  lastStart = 0;
  readonly entries = new Set<Entry>();

  constructor(name: string) {
    this.name = name;
    this.kind = name.startsWith('npu') ? 'npu' : 'cpu';
  }

  /** Starts a run; its signal aborts once nobody waits for any of its entries. */
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
