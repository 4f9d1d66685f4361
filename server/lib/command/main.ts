#!/usr/bin/env node
/**
 * The command line. Exit status 0 after SIGTERM or SIGINT, 1 for a failure, 2 for wrong usage.
 */
import { CommanderError } from 'commander';
import { isIP } from 'node:net';
import pino from 'pino';
import { parseCommandLine, type CommandOptions } from './options.js';
import { startServer } from './server.js';

function parseArguments(): CommandOptions | number {
  try {
    return parseCommandLine();
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return error.exitCode === 0 ? 0 : 2;
  }
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}

async function main(): Promise<number> {
  const options = parseArguments();
  if (typeof options === 'number') return options;
  const log = pino({ level: options.logLevel, base: undefined });
  let stop!: (signal: string) => void;
  const stopped = new Promise<string>((resolve) => (stop = resolve));
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => stop(signal));
  const started = await startServer(options, log).catch((error: unknown) => {
    const { message } = error as Error;
    log.fatal({ err: error }, `the server cannot start: ${message}`);
    process.stderr.write(`latte-embeddings-server cannot start: ${message}\n`);
  });
  if (started === undefined) return 1;
  const { service, httpPort, grpcPort, shutDown } = started;
  log.info(
    {
      host: options.host,
      http: httpPort,
      grpc: grpcPort,
      devices: service.repository.devices,
      models: service.repository.models.map(({ name }) => name),
    },
    isLoopback(options.host)
      ? 'ready, on loopback only: give --host to be reached from other machines'
      : 'ready, without authentication or TLS: put a gateway before it',
  );
  const signal = await stopped;
  log.info({ signal }, 'shutting down: what runs is completed');
  // A second signal does not wait.
  for (const again of ['SIGTERM', 'SIGINT'] as const) process.on(again, () => process.exit(1));
  await shutDown();
  log.info('all requests are answered');
  return 0;
}

void main().then((status) => {
  process.exitCode = status;
});
