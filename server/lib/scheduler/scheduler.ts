import type { Job, Weights } from '../models/model.js';
import { ProtocolError, toProtocolError } from '../protocol/errors.js';
import { gatherBatch, type BatchLimits } from './batch.js';
import { Device } from './device.js';
import { Entry } from './entry.js';
import type { RunReport, RunResult } from './run-result.js';

export interface SchedulerOptions extends BatchLimits {
  /** The most requests that may wait; more are refused. */
  readonly queueLimit: number;
  /** The most runs of a device at the same time. With two, one can copy while another computes. */
  readonly runsPerDevice: number;
}

/** A job, the weights for it, and the client's limits. */
export interface Submission {
  readonly job: Job;
  readonly replicas: ReadonlyMap<string, Weights>;
  /** Aborted if the client disconnects. */
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
}

export interface SchedulerEvents {
  /** Called after a successful run. */
  onRun(jobs: readonly Job[], report: Omit<RunReport, 'queueNs'>): void;
  /** Called after an error of a device. If the promise rejects, the device gets no more runs. */
  testDevice(device: string): Promise<void>;
  onDeviceLost(device: string, reason: unknown): void;
}

/**
 * One queue for all models. The request that waited longest runs next, on the device with the fewest runs,
 * together with requests that can share its run. Requests wait only in this queue.
 */
export class Scheduler {
  readonly devices: readonly Device[];
  readonly #options: SchedulerOptions;
  readonly #events: SchedulerEvents;
  #queue: Entry[] = [];
  #waitTimer: NodeJS.Timeout | undefined;
  #closed = false;
  #onIdle: (() => void)[] = [];

  constructor(devices: readonly string[], options: SchedulerOptions, events: SchedulerEvents) {
    this.devices = devices.map((name) => new Device(name));
    this.#options = options;
    this.#events = events;
  }

  get queued(): number {
    return this.#queue.length;
  }

  get running(): number {
    return this.devices.reduce((sum, { runs }) => sum + runs, 0);
  }

  /** Whether any device is left. */
  get usable(): boolean {
    return this.devices.some(({ lost }) => !lost);
  }

  /**
   * Queues a job, and resolves with its outputs.
   * @throws ProtocolError 'busy' if the queue is full, 'unavailable' after {@link drain} or if no device is
   *   left, 'deadline', 'cancelled' if the client disconnected, and the errors of the run.
   */
  async submit({ job, replicas, signal, timeoutMs }: Submission): Promise<RunResult> {
    if (this.#closed) throw new ProtocolError('unavailable', 'the server is shutting down');
    if (!this.usable) throw new ProtocolError('unavailable', 'no device is left to compute on');
    if (this.#queue.length >= this.#options.queueLimit) {
      throw new ProtocolError(
        'busy',
        `${this.#queue.length} requests wait already: try again later`,
      );
    }
    if (signal.aborted) throw new ProtocolError('cancelled', 'the request was cancelled');
    const entry = new Entry(job, replicas, signal, timeoutMs, () => this.#leave(entry));
    this.#queue.push(entry);
    this.#pump();
    return entry.result;
  }

  /** Refuses new jobs, and resolves once all others have ended. */
  async drain(): Promise<void> {
    this.#closed = true;
    this.#pump();
    if (this.#isIdle()) return;
    await new Promise<void>((resolve) => this.#onIdle.push(resolve));
  }

  /** Fails every job that waits or runs, with 'unavailable'. */
  abort(): void {
    this.#closed = true;
    for (const entry of [...this.#queue, ...this.devices.flatMap(({ entries }) => [...entries])]) {
      entry.fail(new ProtocolError('unavailable', 'the server is shutting down'));
    }
  }

  #isIdle(): boolean {
    return this.#queue.length === 0 && this.running === 0;
  }

  /** Removes an entry from the queue that failed while it waited. */
  #leave(entry: Entry): void {
    this.#queue = this.#queue.filter((other) => other !== entry);
    this.#reportIdle();
  }

  #reportIdle(): void {
    if (this.#isIdle()) for (const resolve of this.#onIdle.splice(0)) resolve();
  }

  /** Starts runs while there are free devices and waiting entries. */
  #pump(): void {
    clearTimeout(this.#waitTimer);
    for (;;) {
      const device = this.#freeDevice();
      if (device === undefined || this.#queue.length === 0) break;
      const batch = gatherBatch(this.#queue, device.kind, this.#options);
      if (batch.waitMs > 0 && !this.#closed) {
        this.#waitTimer = setTimeout(() => this.#pump(), batch.waitMs);
        break;
      }
      const chosen = new Set(batch.entries);
      this.#queue = this.#queue.filter((entry) => !chosen.has(entry));
      void this.#run(device, batch.entries);
    }
    this.#reportIdle();
  }

  #freeDevice(): Device | undefined {
    const free = this.devices.filter(
      ({ lost, runs }) => !lost && runs < this.#options.runsPerDevice,
    );
    // Of the devices with the fewest runs, take that whose last start is longest ago.
    free.sort((a, b) => a.runs - b.runs || a.lastStart - b.lastStart);
    return free[0];
  }

  async #run(device: Device, entries: readonly Entry[]): Promise<void> {
    const { job, replicas } = entries[0]!;
    const jobs = entries.map((entry) => entry.job);
    const times = { input: 0, infer: 0, output: 0 };
    const end = device.start(entries);
    try {
      const outputs = await job.model.run(replicas.get(device.name)!, jobs, end.signal, times);
      const report = { device: device.name, batch: entries.length, times };
      this.#events.onRun(jobs, report);
      for (const [i, entry] of entries.entries()) {
        entry.succeed({ ...report, queueNs: entry.queueNs, outputs: outputs[i]! });
      }
    } catch (error) {
      const reason = toProtocolError(error);
      if (!this.#retryAlone(entries, reason)) for (const entry of entries) entry.fail(reason);
      if (reason.kind === 'unavailable') await this.#checkDevice(device, error);
    } finally {
      end.done();
      if (!this.usable) this.#failQueue();
      this.#pump();
    }
  }

  /**
   * Queues the entries of a failed batch again, each to run alone, because a single bad request may have
   * failed all. @returns false if there is nothing to retry.
   */
  #retryAlone(entries: readonly Entry[], { kind }: ProtocolError): boolean {
    if (entries.length === 1 || (kind !== 'invalid' && kind !== 'internal')) return false;
    const waiting = entries.filter((entry) => entry.returnToQueue(() => this.#leave(entry)));
    this.#queue = [...waiting, ...this.#queue];
    return true;
  }

  /** Tests a device after an error; if the test fails, too, the device counts as lost. */
  async #checkDevice(device: Device, reason: unknown): Promise<void> {
    try {
      await this.#events.testDevice(device.name);
    } catch {
      device.lost = true;
      this.#events.onDeviceLost(device.name, reason);
    }
  }

  #failQueue(): void {
    for (const entry of [...this.#queue]) {
      entry.fail(new ProtocolError('unavailable', 'no device is left to compute on'));
    }
  }
}
