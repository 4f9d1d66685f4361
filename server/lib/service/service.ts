import type { Logger } from 'pino';
import { planJob } from '../models/model.js';
import type { Repository, ServedModel } from '../models/repository.js';
import { ProtocolError, show, toProtocolError } from '../protocol/errors.js';
import type { InferAnswer, InferRequest } from '../protocol/request.js';
import { elementsOf, itemSize } from '../protocol/tensor.js';
import type { RunReport } from '../scheduler/run-result.js';
import { Scheduler, type SchedulerOptions } from '../scheduler/scheduler.js';
import { Budget } from './budget.js';
import { Metrics } from './metrics.js';
import { ModelStatistics } from './statistics.js';

export interface ServiceOptions extends SchedulerOptions {
  /** The longest time for a request, also for one with a later deadline or none. */
  readonly timeoutMs: number;
  /** The most memory of all open requests, in bytes. */
  readonly memoryBytes: number;
}

/** One inference request, as its transport received it. */
export interface Exchange {
  readonly protocol: 'http' | 'grpc';
  readonly modelName: string;
  readonly modelVersion: string;
  /** Aborted if the client disconnects. */
  readonly signal: AbortSignal;
  /** The value of process.hrtime.bigint() at the arrival. */
  readonly started: bigint;
  readonly bytesIn: number;
  /** The milliseconds left until the deadline of a gRPC call. */
  readonly deadlineMs?: number;
}

/** The only version of each model. */
export const modelVersion = '1';

/** The server without its transports: models, scheduler, statistics, metrics and log. */
export class Service {
  readonly repository: Repository;
  readonly scheduler: Scheduler;
  readonly budget: Budget;
  readonly metrics: Metrics;
  readonly log: Logger;
  readonly #options: ServiceOptions;
  readonly #statistics = new WeakMap<ServedModel, ModelStatistics>();
  #tested = false;
  #draining = false;

  constructor(repository: Repository, options: ServiceOptions, log: Logger) {
    this.repository = repository;
    this.log = log;
    this.#options = options;
    this.budget = new Budget(options.memoryBytes);
    this.scheduler = new Scheduler(repository.devices, options, {
      onRun: (jobs, report) => {
        const served = repository.models.find(({ model }) => model === jobs[0]!.model)!;
        this.statisticsOf(served).addRun(report.batch, report.times);
        const { input, infer, output } = report.times;
        const { name: model } = served;
        this.metrics.batchRequests.observe({ model }, report.batch);
        this.metrics.runSeconds.observe(
          { model, device: report.device },
          (input + infer + output) / 1e9,
        );
      },
      testDevice: (device) => repository.test(device),
      onDeviceLost: (device, reason) => {
        log.error({ device, err: reason }, 'a device is lost');
      },
    });
    this.metrics = new Metrics(this.scheduler, this.budget, () => this.ready);
  }

  /** Whether the self-test has passed, a device is left, and no shutdown has begun. */
  get ready(): boolean {
    return this.#tested && !this.#draining && this.scheduler.usable;
  }

  /** False once all devices are lost, so that the process should be restarted. */
  get live(): boolean {
    return this.scheduler.usable;
  }

  /** Tests every model on every device; the service is ready afterwards. @throws Error if a test fails. */
  async selfTest(): Promise<void> {
    for (const device of this.repository.devices) await this.repository.test(device);
    this.#tested = true;
  }

  get draining(): boolean {
    return this.#draining;
  }

  /** From now on `ready` is false, so that load balancers send no more requests; others are still served. */
  announceDrain(): void {
    this.#draining = true;
  }

  /** @throws ProtocolError 'notFound'; 'unavailable' until the weights are loaded. */
  findModel(name: string, version: string): ServedModel {
    if (!this.repository.loaded) {
      throw new ProtocolError('unavailable', 'the weights are being loaded');
    }
    const served = this.repository.find(name);
    if (served === undefined)
      throw new ProtocolError('notFound', `there is no model ${show(name)}`);
    if (version === '' || version === modelVersion) return served;
    throw new ProtocolError(
      'notFound',
      `model ${show(name)} has version ${modelVersion} only, but ${show(version)} was asked for`,
    );
  }

  statisticsOf(served: ServedModel): ModelStatistics {
    let statistics = this.#statistics.get(served);
    if (statistics === undefined) {
      statistics = new ModelStatistics();
      this.#statistics.set(served, statistics);
    }
    return statistics;
  }

  /**
   * Serves one inference: decodes the request, queues it, encodes the answer, and writes a log line.
   * @returns the answer, and `release`, which the transport must call once the answer is sent.
   * @throws ProtocolError.
   */
  async infer<Answer>(
    exchange: Exchange,
    decode: () => InferRequest,
    encode: (request: InferRequest, answer: InferAnswer) => Answer,
  ): Promise<{ answer: Answer; release: () => void }> {
    let served: ServedModel | undefined;
    let request: InferRequest | undefined;
    let release = (): void => {};
    try {
      served = this.findModel(exchange.modelName, exchange.modelVersion);
      if (!this.#tested) throw new ProtocolError('unavailable', 'the self-test is under way');
      request = decode();
      const { model, replicas } = served;
      const job = planJob(model, request.inputs, request.outputs);
      release = this.budget.reserve(job.bytes);
      const result = await this.scheduler.submit({
        job,
        replicas,
        signal: exchange.signal,
        timeoutMs: this.#timeoutOf(exchange, request),
      });
      const answer = encode(request, {
        modelName: exchange.modelName,
        id: request.id,
        outputs: result.outputs,
      });
      const bytesOut = result.outputs.reduce(
        (sum, { shape, datatype }) => sum + elementsOf(shape) * itemSize(datatype),
        0,
      );
      this.#report(exchange, served, request, { ...result, bytesOut });
      return { answer, release };
    } catch (error) {
      release();
      const reason = toProtocolError(error);
      this.#reportFailure(exchange, served, request, reason);
      throw reason;
    }
  }

  #timeoutOf({ deadlineMs }: Exchange, { timeoutMs }: InferRequest): number {
    return Math.min(deadlineMs ?? Infinity, timeoutMs ?? Infinity, this.#options.timeoutMs);
  }

  #report(
    exchange: Exchange,
    served: ServedModel,
    request: InferRequest,
    run: RunReport & { bytesOut: number },
  ): void {
    const totalNs = Number(process.hrtime.bigint() - exchange.started);
    const { protocol } = exchange;
    const { name: model } = served;
    const { device, batch, queueNs, times } = run;
    this.statisticsOf(served).addSuccess(totalNs, queueNs, times);
    this.metrics.requests.inc({ model, protocol, outcome: 'ok' });
    this.metrics.requestSeconds.observe({ model, protocol }, totalNs / 1e9);
    this.metrics.queueSeconds.observe({ model }, queueNs / 1e9);
    this.log.info(
      {
        protocol,
        model,
        id: request.id,
        outcome: 'ok',
        device,
        batch,
        ms: milliseconds(totalNs),
        queueMs: milliseconds(queueNs),
        runMs: milliseconds(times.input + times.infer + times.output),
        bytesIn: exchange.bytesIn,
        bytesOut: run.bytesOut,
      },
      'infer',
    );
  }

  #reportFailure(
    exchange: Exchange,
    served: ServedModel | undefined,
    request: InferRequest | undefined,
    reason: ProtocolError,
  ): void {
    const totalNs = Number(process.hrtime.bigint() - exchange.started);
    const { protocol } = exchange;
    // An unknown name must not become a label: clients could create any number of metrics.
    const model = served?.name ?? '';
    if (served !== undefined) this.statisticsOf(served).addFailure(totalNs);
    this.metrics.requests.inc({ model, protocol, outcome: reason.kind });
    const line = {
      protocol,
      model,
      id: request?.id,
      outcome: reason.kind,
      error: reason.message,
      ms: milliseconds(totalNs),
      bytesIn: exchange.bytesIn,
    };
    if (reason.kind === 'internal') this.log.error({ ...line, err: reason.cause }, 'infer');
    else this.log.info(line, 'infer');
  }
}

function milliseconds(ns: number): number {
  return Math.round(ns / 1e3) / 1e3;
}
