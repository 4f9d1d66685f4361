import type { RunTimes } from '../models/model.js';
import type { WireTensor } from '../protocol/tensor.js';

/** The device, the batch size and the times of a run, for the log and the metrics. */
export interface RunReport {
  readonly device: string;
  /** The number of requests in the run. */
  readonly batch: number;
  /** How long the request was in the queue, in nanoseconds. */
  readonly queueNs: number;
  readonly times: Readonly<RunTimes>;
}

export interface RunResult extends RunReport {
  readonly outputs: readonly WireTensor[];
}
