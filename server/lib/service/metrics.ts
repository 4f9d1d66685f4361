import { devices, memoryUsage } from 'latte-embeddings';
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { Scheduler } from '../scheduler/scheduler.js';
import type { Budget } from './budget.js';

const seconds = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10];

/** The Prometheus metrics of a server. */
export class Metrics {
  readonly registry = new Registry();
  readonly requests = new Counter({
    name: 'latte_requests_total',
    help: 'Inference requests by their outcome: ok, or the kind of the error.',
    labelNames: ['model', 'protocol', 'outcome'] as const,
    registers: [this.registry],
  });
  readonly requestSeconds = new Histogram({
    name: 'latte_request_seconds',
    help: 'From the arrival of an inference request to its answer, in seconds.',
    labelNames: ['model', 'protocol'] as const,
    buckets: seconds,
    registers: [this.registry],
  });
  readonly queueSeconds = new Histogram({
    name: 'latte_queue_seconds',
    help: 'How long computed requests were in the queue, in seconds.',
    labelNames: ['model'] as const,
    buckets: seconds,
    registers: [this.registry],
  });
  readonly runSeconds = new Histogram({
    name: 'latte_run_seconds',
    help: 'How long runs took on their device, with the copies to and from it, in seconds.',
    labelNames: ['model', 'device'] as const,
    buckets: seconds,
    registers: [this.registry],
  });
  readonly batchRequests = new Histogram({
    name: 'latte_batch_requests',
    help: 'The requests that shared a run.',
    labelNames: ['model'] as const,
    buckets: [1, 2, 4, 8, 16, 32, 64],
    registers: [this.registry],
  });

  constructor(scheduler: Scheduler, budget: Budget, isReady: () => boolean) {
    collectDefaultMetrics({ register: this.registry });
    this.#gauge('latte_queue_requests', 'Requests that wait for a device.', () => scheduler.queued);
    this.#gauge(
      'latte_open_bytes',
      'Bytes that open requests hold or may take.',
      () => budget.used,
    );
    this.#gauge('latte_ready', '1 if the server is ready, else 0.', () => Number(isReady()));
    const runs = this.#deviceGauge('latte_device_runs', 'Runs that are under way.', ['device']);
    const lost = this.#deviceGauge('latte_device_lost', '1 if the device takes no more runs.', [
      'device',
    ]);
    const memory = this.#deviceGauge('latte_device_memory_bytes', 'Memory of a device.', [
      'device',
      'kind',
    ]);
    this.#beforeScrape = () => {
      for (const device of scheduler.devices) {
        runs.set({ device: device.name }, device.runs);
        lost.set({ device: device.name }, Number(device.lost));
      }
      const { live, pooled } = memoryUsage();
      memory.set({ device: 'cpu', kind: 'live' }, live);
      memory.set({ device: 'cpu', kind: 'pooled' }, pooled);
      for (const { name, memory: size } of devices()) {
        if (size === undefined || name === 'cpu') continue;
        memory.set({ device: name, kind: 'free' }, size.free);
        memory.set({ device: name, kind: 'total' }, size.total);
      }
    };
  }

  readonly #beforeScrape: () => void;

  async text(): Promise<string> {
    this.#beforeScrape();
    return this.registry.metrics();
  }

  #gauge(name: string, help: string, read: () => number): void {
    new Gauge({
      name,
      help,
      registers: [this.registry],
      collect() {
        this.set(read());
      },
    });
  }

  #deviceGauge<Label extends string>(
    name: string,
    help: string,
    labelNames: Label[],
  ): Gauge<Label> {
    return new Gauge({ name, help, labelNames, registers: [this.registry] });
  }
}
