import type { Entry } from './entry.js';

export interface BatchLimits {
  /** The kinds of device on which requests share a run. */
  readonly batchOn: readonly ('cpu' | 'npu')[];
  /** How long the first request of a batch waits for others; 0 takes only those that wait already. */
  readonly batchWaitMs: number;
  /** The most requests of a run. */
  readonly maxBatch: number;
  /** The most rows of a run. A request with more rows runs alone. */
  readonly maxBatchRows: number;
}

export interface Batch {
  readonly entries: readonly Entry[];
  /** How many milliseconds longer to wait for more entries; 0 if the batch should run now. */
  readonly waitMs: number;
}

/** The next run: the entry that waited longest, and later ones that may share its run. */
export function gatherBatch(
  queue: readonly Entry[],
  kind: 'cpu' | 'npu',
  { batchOn, batchWaitMs, maxBatch, maxBatchRows }: BatchLimits,
): Batch {
  const first = queue[0]!;
  const { model, batchKey } = first.job;
  const isAlone = first.alone || batchKey === undefined || !batchOn.includes(kind);
  if (isAlone) return { entries: [first], waitMs: 0 };
  const entries: Entry[] = [];
  let rows = 0;
  let isFull = false;
  for (const entry of queue) {
    const { job } = entry;
    if (entry.alone || job.model !== model || job.batchKey !== batchKey) continue;
    const fits = entries.length < maxBatch && rows + job.rows <= maxBatchRows;
    if (entries.length > 0 && !fits) {
      isFull = true;
      break;
    }
    entries.push(entry);
    rows += job.rows;
  }
  isFull ||= entries.length >= maxBatch || rows >= maxBatchRows;
  return { entries, waitMs: isFull ? 0 : Math.max(0, batchWaitMs - first.waitedMs) };
}
