import type { Server } from '@grpc/grpc-js';
import type { FastifyInstance } from 'fastify';
import type { AddressInfo } from 'node:net';
import type { Logger } from 'pino';
import { chooseDevices, Repository } from '../models/repository.js';
import { Service } from '../service/service.js';
import { createGrpcServer, listenGrpc } from '../transport/grpc.js';
import { createHttpServer } from '../transport/http.js';
import type { CommandOptions } from './options.js';

/** A running server. */
export interface RunningServer {
  readonly service: Service;
  readonly httpPort: number;
  readonly grpcPort: number;
  /** Shuts the server down: completes or aborts its requests, then frees all memory. */
  shutDown: () => Promise<void>;
}

/**
 * Listens, loads the weights, and tries every model on every device. It is live from the first, so that
 * large weights do not look like a server that hangs, and ready at the end.
 * @throws Error if a checkpoint, a device or an address cannot be used.
 */
export async function startServer(options: CommandOptions, log: Logger): Promise<RunningServer> {
  const devices = chooseDevices(options.device);
  const repository = new Repository(devices);
  const service = new Service(
    repository,
    {
      queueLimit: options.queue,
      runsPerDevice: options.runsPerDevice,
      batchOn: { auto: ['cpu'] as const, on: ['cpu', 'npu'] as const, off: [] }[options.batch],
      batchWaitMs: options.batchWait,
      maxBatch: options.maxBatch,
      maxBatchRows: options.maxBatchRows,
      timeoutMs: options.timeout,
      memoryBytes: options.memory,
    },
    log,
  );
  let http: FastifyInstance | undefined;
  let grpc: Server | undefined;
  try {
    http = createHttpServer(service, {
      maxBodyBytes: options.maxBody,
      maxJsonBytes: options.maxJson,
      maxHeaderBytes: options.maxHeader,
      maxConnections: options.maxConnections,
      receiveTimeoutMs: options.receiveTimeout,
      // While a request is computed, no byte is sent in either direction.
      idleTimeoutMs: options.timeout + options.receiveTimeout,
    });
    grpc = createGrpcServer(service, {
      maxMessageBytes: options.maxBody,
      maxHeaderBytes: options.maxHeader,
      maxCalls: Math.max(8, Math.floor(options.memory / options.maxBody)),
    });
    await http.listen({ host: options.host, port: options.http });
    const grpcPort = await listenGrpc(grpc, options.host, options.grpc);
    const httpPort = (http.server.address() as AddressInfo).port;
    log.info({ http: httpPort, grpc: grpcPort }, 'listening: the weights are being loaded');
    await repository.load(options.model, { dtype: options.dtype });
    await service.selfTest();
    const [httpServer, grpcServer] = [http, grpc];
    const shutDown = (): Promise<void> => drain(service, httpServer, grpcServer, options);
    return { service, httpPort, grpcPort, shutDown };
  } catch (error) {
    await http?.close();
    grpc?.forceShutdown();
    repository.dispose();
    throw error;
  }
}

async function drain(
  service: Service,
  http: FastifyInstance,
  grpc: Server,
  options: CommandOptions,
): Promise<void> {
  service.announceDrain();
  if (options.drainDelay > 0) await delay(options.drainDelay);
  const timer = setTimeout(() => {
    service.log.warn('what still runs is ended');
    service.scheduler.abort();
    grpc.forceShutdown();
    http.server.closeAllConnections();
  }, options.drainTimeout);
  // A connection with a request is closed after the answer, an idle one at once.
  const closed = Promise.all([http.close(), closeGrpc(grpc)]);
  await service.scheduler.drain();
  await closed;
  clearTimeout(timer);
  service.repository.dispose();
}

async function closeGrpc(server: Server): Promise<void> {
  return new Promise((resolve) => server.tryShutdown(() => resolve()));
}

async function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
