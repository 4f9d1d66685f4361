import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import type { Socket } from 'node:net';
import { Readable } from 'node:stream';
import { ProtocolError, toProtocolError, type ErrorKind } from '../protocol/errors.js';
import { decodeRestRequest } from '../protocol/rest-decode.js';
import { encodeRestAnswer } from '../protocol/rest-encode.js';
import {
  describeConfig,
  describeIndex,
  describeModel,
  describeServer,
  describeStatistics,
} from '../service/describe.js';
import type { Service } from '../service/service.js';

export interface HttpOptions {
  readonly maxBodyBytes: number;
  readonly maxJsonBytes: number;
  readonly maxHeaderBytes: number;
  readonly maxConnections: number;
  /** The longest time for receiving a request. */
  readonly receiveTimeoutMs: number;
  /** The longest time that a connection may be without a byte in either direction. */
  readonly idleTimeoutMs: number;
}

const statuses: Record<ErrorKind, number> = {
  invalid: 400,
  notFound: 404,
  tooLarge: 413,
  busy: 429,
  unavailable: 503,
  deadline: 504,
  cancelled: 499,
  internal: 500,
};

interface ModelParams {
  model: string;
  version?: string;
}

/** Makes the HTTP server with the protocol's REST and /metrics; it does not listen yet. */
export function createHttpServer(service: Service, options: HttpOptions): FastifyInstance {
  const app = fastify({
    logger: false,
    bodyLimit: options.maxBodyBytes,
    requestTimeout: options.receiveTimeoutMs,
    connectionTimeout: options.idleTimeoutMs,
    // Close idle connections at a shutdown, so that keep-alive clients do not delay it.
    forceCloseConnections: 'idle',
    routerOptions: { maxParamLength: 512 },
    http: {
      maxHeaderSize: options.maxHeaderBytes,
      headersTimeout: options.receiveTimeoutMs,
      connectionsCheckingInterval: Math.min(1000, options.receiveTimeoutMs),
    },
    clientErrorHandler: answerBrokenRequest,
  });
  app.server.maxConnections = options.maxConnections;
  // Read every body as bytes, without regard to its content type.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => {
    done(null, body);
  });
  app.setErrorHandler((error, _request, reply) => sendError(service, reply, error));
  app.setNotFoundHandler((request, reply) =>
    sendError(
      service,
      reply,
      new ProtocolError('notFound', `there is no ${request.method} ${request.url.slice(0, 100)}`),
    ),
  );
  // During a shutdown close each connection, so that a load balancer's next request uses another replica.
  app.addHook('onSend', async (_request, reply) => {
    if (service.draining) reply.header('Connection', 'close');
  });
  addHealth(app, service);
  addMetadata(app, service);
  addInference(app, service, options);
  app.get('/metrics', async (_request, reply) => {
    reply.type(service.metrics.registry.contentType);
    return service.metrics.text();
  });
  return app;
}

function addHealth(app: FastifyInstance, service: Service): void {
  const answer = (reply: FastifyReply, name: string, isTrue: boolean): FastifyReply =>
    reply.status(isTrue ? 200 : 503).send({ [name]: isTrue });
  app.get('/v2/health/live', (_request, reply) => answer(reply, 'live', service.live));
  app.get('/v2/health/ready', (_request, reply) => answer(reply, 'ready', service.ready));
  for (const path of modelPaths('/ready')) {
    app.get<{ Params: ModelParams }>(path, (request, reply) => {
      findModel(service, request);
      return reply.status(service.ready ? 200 : 503).send({
        name: request.params.model,
        ready: service.ready,
      });
    });
  }
}

function addMetadata(app: FastifyInstance, service: Service): void {
  app.get('/v2', () => describeServer());
  app.get('/v2/models/stats', () => describeStatistics(service, service.repository.models));
  for (const path of modelPaths('')) {
    app.get<{ Params: ModelParams }>(path, (request) =>
      describeModel(request.params.model, findModel(service, request)),
    );
  }
  for (const path of modelPaths('/config')) {
    app.get<{ Params: ModelParams }>(path, (request) =>
      describeConfig(request.params.model, findModel(service, request)),
    );
  }
  for (const path of modelPaths('/stats')) {
    app.get<{ Params: ModelParams }>(path, (request) =>
      describeStatistics(service, [findModel(service, request)]),
    );
  }
  app.post('/v2/repository/index', (request) =>
    describeIndex(service, isReadyWanted(request.body as Buffer | undefined)),
  );
}

/** The body of an index request may be empty, or `{"ready": true}`. */
function isReadyWanted(body: Buffer | undefined): boolean {
  if (body === undefined || body.length === 0) return false;
  try {
    const parsed = JSON.parse(body.toString('utf8')) as { ready?: unknown } | null;
    return parsed?.ready === true;
  } catch {
    throw new ProtocolError('invalid', 'the request is no JSON');
  }
}

function addInference(app: FastifyInstance, service: Service, options: HttpOptions): void {
  const started = new WeakMap<FastifyRequest, bigint>();
  for (const path of modelPaths('/infer')) {
    app.post<{ Params: ModelParams }>(path, {
      // Reserve memory for the body before it is read, or refuse the request.
      onRequest: async (request, reply) => {
        started.set(request, process.hrtime.bigint());
        const announced = Number(request.headers['content-length'] ?? options.maxBodyBytes);
        if (announced > options.maxBodyBytes) return;
        reply.raw.once('close', service.budget.reserve(announced));
      },
      handler: async (request, reply) => {
        const body = (request.body as Buffer | undefined) ?? Buffer.alloc(0);
        const gone = new AbortController();
        reply.raw.once('close', () => {
          if (!reply.raw.writableFinished) gone.abort();
        });
        const { model, version } = request.params;
        const { answer, release } = await service.infer(
          {
            protocol: 'http',
            modelName: model,
            modelVersion: version ?? '',
            signal: gone.signal,
            started: started.get(request)!,
            bytesIn: body.length,
          },
          () => decodeRestRequest(body, headerLength(request), options.maxJsonBytes),
          encodeRestAnswer,
        );
        if (gone.signal.aborted) release();
        else reply.raw.once('close', release);
        if (answer.headerLength !== undefined) {
          reply.header('Inference-Header-Content-Length', answer.headerLength);
        }
        reply.type(
          answer.headerLength === undefined ? 'application/json' : 'application/octet-stream',
        );
        const length = answer.chunks.reduce((sum, chunk) => sum + chunk.byteLength, 0);
        reply.header('Content-Length', length);
        return reply.send(Readable.from(answer.chunks, { objectMode: false }));
      },
    });
  }
}

function headerLength({ headers }: FastifyRequest): string | undefined {
  const value = headers['inference-header-content-length'];
  return Array.isArray(value) ? value.join() : value;
}

function modelPaths(suffix: string): string[] {
  return [`/v2/models/:model${suffix}`, `/v2/models/:model/versions/:version${suffix}`];
}

function findModel(
  service: Service,
  { params }: { params: ModelParams },
): ReturnType<Service['findModel']> {
  return service.findModel(params.model, params.version ?? '');
}

/** Sends the protocol's error object; for errors that may pass also the header Retry-After. */
function sendError(service: Service, reply: FastifyReply, error: unknown): FastifyReply {
  const { status, message, kind } = describeError(error);
  if (kind === 'internal') service.log.error({ err: error }, 'a request failed');
  if (kind === 'busy' || kind === 'unavailable') reply.header('Retry-After', 1);
  // If the body was refused before its end, close the connection instead of reading the rest.
  if (!reply.request.raw.complete) reply.header('Connection', 'close');
  return reply.status(status).send({ error: message });
}

function describeError(error: unknown): { status: number; message: string; kind?: ErrorKind } {
  const { statusCode, code } = error as { statusCode?: number; code?: string };
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE') {
    return { status: 413, message: 'the body is larger than this server takes' };
  }
  // Fastify's own errors: a body shorter than its Content-Length, or a URL that cannot be decoded.
  if (code?.startsWith('FST_') === true && statusCode !== undefined && statusCode < 500) {
    return { status: statusCode, message: (error as Error).message };
  }
  const { kind, message } = toProtocolError(error);
  return { status: statuses[kind], message, kind };
}

const brokenRequests: Record<string, [status: string, message: string]> = {
  HPE_HEADER_OVERFLOW: ['431 Request Header Fields Too Large', 'the headers are too large'],
  ERR_HTTP_REQUEST_TIMEOUT: ['408 Request Timeout', 'the request did not arrive in time'],
};

/** Answers a request that Node.js cannot parse, for which Fastify calls no handler. */
function answerBrokenRequest(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const [status, message] = brokenRequests[error.code ?? ''] ?? [
    '400 Bad Request',
    'this is no HTTP request',
  ];
  const body = JSON.stringify({ error: message });
  socket.end(
    `HTTP/1.1 ${status}\r\nContent-Type: application/json\r\n` +
      `Content-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
    // A client that goes on sending is not waited for.
    () => socket.destroy(),
  );
}
