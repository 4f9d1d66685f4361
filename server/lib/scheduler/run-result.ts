import type { RunTimes } from '../models/model.js';
import type { WireTensor } from '../protocol/tensor.js';

/** What a run was like. */
export interface RunReport {
  readonly device: string;
  /** The requests of the run. */
  readonly batch: number;
  /** How long the request was in the queue. */
  readonly queueNs: number;
  readonly times: Readonly<RunTimes>;
}

export interface RunResult extends RunReport {
  readonly outputs: readonly WireTensor[];
}
