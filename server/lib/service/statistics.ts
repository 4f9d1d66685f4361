import type { RunTimes } from '../models/model.js';

/** The number of events, and the sum of their durations in nanoseconds. */
export interface Duration {
  count: number;
  ns: number;
}

export interface BatchStatistics {
  readonly batchSize: number;
  readonly input: Duration;
  readonly infer: Duration;
  readonly output: Duration;
}

/** The statistics of one model since the start of the server, for the protocol's extension. */
export class ModelStatistics {
  /** The time of the last run, in milliseconds since the epoch. */
  lastInference = 0;
  /** The number of computed requests. */
  inferences = 0;
  /** The number of runs, each of one request or of a batch. */
  executions = 0;
  readonly success = newDuration();
  readonly fail = newDuration();
  readonly queue = newDuration();
  readonly input = newDuration();
  readonly infer = newDuration();
  readonly output = newDuration();
  readonly #batches = new Map<number, BatchStatistics>();

  get batches(): BatchStatistics[] {
    return [...this.#batches.values()].sort((a, b) => a.batchSize - b.batchSize);
  }

  addRun(requests: number, times: Readonly<RunTimes>): void {
    this.lastInference = Date.now();
    this.inferences += requests;
    this.executions++;
    let batch = this.#batches.get(requests);
    if (batch === undefined) {
      batch = {
        batchSize: requests,
        input: newDuration(),
        infer: newDuration(),
        output: newDuration(),
      };
      this.#batches.set(requests, batch);
    }
    for (const part of ['input', 'infer', 'output'] as const) add(batch[part], times[part]);
  }

  addSuccess(totalNs: number, queueNs: number, times: Readonly<RunTimes>): void {
    add(this.success, totalNs);
    add(this.queue, queueNs);
    for (const part of ['input', 'infer', 'output'] as const) add(this[part], times[part]);
  }

  addFailure(totalNs: number): void {
    add(this.fail, totalNs);
  }
}

function newDuration(): Duration {
  return { count: 0, ns: 0 };
}

function add(duration: Duration, ns: number): void {
  duration.count++;
  duration.ns += Math.round(ns);
}
