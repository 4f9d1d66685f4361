import type { Job, Weights } from '../models/model.js';
import { ProtocolError } from '../protocol/errors.js';
import type { RunResult } from './run-result.js';

/** A job in the queue or in a run; settles exactly once. */
export class Entry {
  readonly job: Job;
  readonly replicas: ReadonlyMap<string, Weights>;
  readonly result: Promise<RunResult>;
  readonly enqueued = process.hrtime.bigint();
  /** How long it was in the queue, in nanoseconds. */
  queueNs = 0;
  /** Whether it must run alone, because its batch failed. */
  alone = false;
  /** Called if the entry fails: takes it from the queue, or, once it runs, from its run. */
  #onFail: () => void;
  #resolve!: (result: RunResult) => void;
  #reject!: (reason: ProtocolError) => void;
  #settled = false;
  readonly #release: () => void;

  constructor(
    job: Job,
    replicas: ReadonlyMap<string, Weights>,
    signal: AbortSignal,
    timeoutMs: number,
    leaveQueue: () => void,
  ) {
    this.job = job;
    this.replicas = replicas;
    this.#onFail = leaveQueue;
    this.result = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    const timer = setTimeout(() => {
      this.fail(new ProtocolError('deadline', `no answer within ${Math.round(timeoutMs)} ms`));
    }, timeoutMs);
    const onAbort = (): void =>
      this.fail(new ProtocolError('cancelled', 'the request was cancelled'));
    signal.addEventListener('abort', onAbort, { once: true });
    this.#release = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
    };
  }

  /** Milliseconds since the entry was queued. */
  get waitedMs(): number {
    return Number(process.hrtime.bigint() - this.enqueued) / 1e6;
  }

  /** Takes the entry from the queue into a run. */
  start(leaveRun: () => void): void {
    this.queueNs = Number(process.hrtime.bigint() - this.enqueued);
    this.#onFail = leaveRun;
  }

  /** Marks the entry to run alone after a failed batch. @returns false if it has settled already. */
  returnToQueue(leaveQueue: () => void): boolean {
    this.alone = true;
    this.#onFail = leaveQueue;
    return !this.#settled;
  }

  succeed(result: RunResult): void {
    if (this.#settle()) this.#resolve(result);
  }

  fail(reason: ProtocolError): void {
    if (!this.#settle()) return;
    this.#reject(reason);
    this.#onFail();
  }

  #settle(): boolean {
    if (this.#settled) return false;
    this.#settled = true;
    this.#release();
    return true;
  }
}
