import { join } from 'node:path';
import pino from 'pino';
import { afterEach } from 'vitest';
import { createProgram, type CommandOptions } from '../../lib/command/options.js';
import { startServer, type RunningServer } from '../../lib/command/server.js';
import type { Model } from '../../lib/models/model.js';

const models = join(__dirname, '..', '..', '..', 'test', 'checkpoint', 'fixtures', 'models');

/** The folder of a small checkpoint. */
export function modelFolder(name: string): string {
  return join(models, name);
}

export const latte = modelFolder('latte-odd');

const running = new Set<RunningServer>();

afterEach(async () => {
  for (const server of running) {
    // Open requests of the test are aborted, not awaited.
    server.service.scheduler.abort();
    await server.shutDown();
  }
  running.clear();
});

/** A log that keeps its lines in memory. */
export function memoryLog(): { log: pino.Logger; lines: Record<string, unknown>[] } {
  const lines: Record<string, unknown>[] = [];
  const log = pino(
    { base: undefined },
    { write: (line: string) => void lines.push(JSON.parse(line) as Record<string, unknown>) },
  );
  return { log, lines };
}

export function parseOptions(...args: string[]): CommandOptions {
  const program = createProgram().exitOverride();
  program.configureOutput({ writeErr: () => {} });
  program.parse(['--http', '0', '--grpc', '0', '--device', 'cpu', ...args], { from: 'user' });
  return program.opts<CommandOptions>();
}

/** Starts a server in this process, on free ports; it is shut down after the test. */
export async function serve(...args: string[]): Promise<RunningServer & { base: string }> {
  return serveWithLog(pino({ level: 'silent' }), ...args);
}

export async function serveWithLog(
  log: pino.Logger,
  ...args: string[]
): Promise<RunningServer & { base: string }> {
  const models = args.includes('--model') ? [] : ['--model', latte];
  const server = await startServer(parseOptions(...models, ...args), log);
  running.add(server);
  return { ...server, base: `http://127.0.0.1:${server.httpPort}` };
}

/** Removes a server that the test itself has shut down from those to be shut down. */
export function forget(server: RunningServer): void {
  for (const each of running) if (each.service === server.service) running.delete(each);
}

/** A gate at which a model's runs wait until it is opened. */
export class Gate {
  readonly signals: AbortSignal[] = [];
  readonly #model: Model;
  readonly #run: Model['run'];
  #open!: () => void;
  #arrived: (() => void)[] = [];
  readonly #opened = new Promise<void>((resolve) => (this.#open = resolve));

  constructor({ service }: RunningServer, name = 'conditioning') {
    this.#model = service.repository.find(name)!.model;
    this.#run = this.#model.run.bind(this.#model);
    this.#model.run = async (latte, jobs, signal, times) => {
      this.signals.push(signal);
      for (const resolve of this.#arrived.splice(0)) resolve();
      await this.#opened;
      return this.#run(latte, jobs, signal, times);
    };
  }

  /** Resolves once that many runs have reached the gate. */
  async arrivals(count: number): Promise<void> {
    while (this.signals.length < count) {
      await new Promise<void>((resolve) => this.#arrived.push(resolve));
    }
  }

  open(): void {
    this.#open();
  }
}

/** Resolves once the condition holds; checks it in every turn of the event loop. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise<void>((resolve) => setImmediate(resolve));
}
