import {
  ResponderBuilder,
  Server,
  ServerCredentials,
  ServerInterceptingCall,
  status,
  type sendUnaryData,
  type ServerInterceptor,
  type ServerUnaryCall,
  type ServiceDefinition,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { join } from 'node:path';
import { invalid, ProtocolError, toProtocolError, type ErrorKind } from '../protocol/errors.js';
import { decodeGrpcRequest, type ModelInferRequest } from '../protocol/grpc-decode.js';
import { encodeGrpcAnswer } from '../protocol/grpc-encode.js';
import { checkWireSize } from '../protocol/wire.js';
import {
  describeConfig,
  describeIndex,
  describeModel,
  describeServer,
  describeStatistics,
} from '../service/describe.js';
import type { Service } from '../service/service.js';

export interface GrpcOptions {
  readonly maxMessageBytes: number;
  readonly maxHeaderBytes: number;
  /** The most open calls. A message is in memory before the server can check its size. */
  readonly maxCalls: number;
}

const codes: Record<ErrorKind, status> = {
  invalid: status.INVALID_ARGUMENT,
  notFound: status.NOT_FOUND,
  tooLarge: status.RESOURCE_EXHAUSTED,
  busy: status.RESOURCE_EXHAUSTED,
  unavailable: status.UNAVAILABLE,
  deadline: status.DEADLINE_EXCEEDED,
  cancelled: status.CANCELLED,
  internal: status.INTERNAL,
};

/** The path of the .proto file, in the package and in a checkout. */
export const protoFile = join(__dirname, '..', '..', 'proto', 'inference.proto');

/** Loads the service of {@link protoFile}, for servers and clients. */
export function loadServiceDefinition(): ServiceDefinition {
  const loaded = loadSync(protoFile, {
    keepCase: true,
    // Numbers above 2^53 lose digits, but lengths and counts of that size are refused anyway.
    longs: Number,
    enums: String,
    defaults: true,
    oneofs: false,
  });
  return loaded['inference.GRPCInferenceService'] as ServiceDefinition;
}

type Names = { name: string; version: string };

/** Makes the gRPC server, which does not listen yet. */
export function createGrpcServer(service: Service, options: GrpcOptions): Server {
  const definition = loadServiceDefinition();
  const decodeInfer = definition.ModelInfer!.requestDeserialize as (
    bytes: Buffer,
  ) => ModelInferRequest;
  const server = new Server({
    'grpc.max_receive_message_length': options.maxMessageBytes,
    'grpc.max_send_message_length': -1,
    'grpc.max_metadata_size': options.maxHeaderBytes,
    'grpc.max_concurrent_streams': options.maxCalls,
    interceptors: [limitCalls(options.maxCalls)],
  });
  // The handler decodes inferences itself: grpc-js would answer a malformed message with INTERNAL.
  const withBytes: ServiceDefinition = {
    ...definition,
    ModelInfer: { ...definition.ModelInfer!, requestDeserialize: (bytes: Buffer) => bytes },
  };
  const find = ({ name, version }: Names): ReturnType<Service['findModel']> =>
    service.findModel(name, version);
  const handlers: UntypedServiceImplementation = {
    ServerLive: answer(service, () => ({ live: service.live })),
    ServerReady: answer(service, () => ({ ready: service.ready })),
    ModelReady: answer(service, (names: Names) => {
      find(names);
      return { ready: service.ready };
    }),
    ServerMetadata: answer(service, describeServer),
    ModelMetadata: answer(service, (names: Names) => describeModel(names.name, find(names))),
    ModelConfig: answer(service, (names: Names) => ({
      config: describeConfig(names.name, find(names)),
    })),
    ModelStatistics: answer(service, (names: Names) =>
      describeStatistics(service, names.name === '' ? service.repository.models : [find(names)]),
    ),
    RepositoryIndex: answer(service, ({ ready }: { ready: boolean }) => ({
      models: describeIndex(service, ready),
    })),
    ModelInfer: inferHandler(service, decodeInfer),
  };
  server.addService(withBytes, handlers);
  return server;
}

/** Starts to listen, and resolves with the port. */
export async function listenGrpc(server: Server, host: string, port: number): Promise<number> {
  const address = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
  return new Promise((resolve, reject) => {
    server.bindAsync(address, ServerCredentials.createInsecure(), (error, bound) => {
      if (error === null) resolve(bound);
      else reject(error);
    });
  });
}

type Handler<Request> = (
  call: ServerUnaryCall<Request, object>,
  callback: sendUnaryData<object>,
) => void;

/** The handler of a call that is answered synchronously. */
function answer<Request>(
  service: Service,
  describe: (request: Request) => object,
): Handler<Request> {
  return ({ request }, callback) => {
    try {
      callback(null, describe(request));
    } catch (error) {
      callback(toStatus(service, error));
    }
  };
}

function inferHandler(
  service: Service,
  decodeMessage: (bytes: Buffer) => ModelInferRequest,
): Handler<Buffer> {
  return (call, callback) => {
    const bytes = call.request;
    const gone = new AbortController();
    call.on('cancelled', () => gone.abort());
    const infer = async (): Promise<void> => {
      const unreserve = service.budget.reserve(bytes.length);
      try {
        const message = decode(bytes, decodeMessage);
        const { answer: response, release } = await service.infer(
          {
            protocol: 'grpc',
            modelName: message.model_name,
            modelVersion: message.model_version,
            signal: gone.signal,
            started: process.hrtime.bigint(),
            bytesIn: bytes.length,
            deadlineMs: millisecondsTo(call.getDeadline()),
          },
          () => decodeGrpcRequest(message),
          (_request, result) => encodeGrpcAnswer(result),
        );
        // callback() serialises the response before it returns.
        callback(null, response);
        release();
      } finally {
        unreserve();
      }
    };
    infer().catch((error: unknown) => callback(toStatus(service, error)));
  };
}

function decode(
  bytes: Buffer,
  decodeMessage: (bytes: Buffer) => ModelInferRequest,
): ModelInferRequest {
  checkWireSize(bytes);
  try {
    return decodeMessage(bytes);
  } catch (error) {
    throw invalid(`the message is no ModelInferRequest: ${(error as Error).message.slice(0, 100)}`);
  }
}

function millisecondsTo(deadline: Date | number): number | undefined {
  const time = typeof deadline === 'number' ? deadline : deadline.getTime();
  return Number.isFinite(time) ? Math.max(0, time - Date.now()) : undefined;
}

function toStatus(service: Service, error: unknown): { code: status; details: string } {
  const { kind, message } = toProtocolError(error);
  // An error of an inference is a ProtocolError, and is in the log already.
  if (kind === 'internal' && !(error instanceof ProtocolError)) {
    service.log.error({ err: error }, 'a call failed');
  }
  return { code: codes[kind], details: message };
}

/** Refuses calls beyond `maxCalls` before their messages are received. */
function limitCalls(maxCalls: number): ServerInterceptor {
  let open = 0;
  return (_method, call) => {
    if (open >= maxCalls) {
      return new ServerInterceptingCall(call, {
        start: (next) => {
          next();
          call.sendStatus({
            code: status.RESOURCE_EXHAUSTED,
            details: `${maxCalls} calls are open already: try again later`,
          });
        },
      });
    }
    open++;
    let isOpen = true;
    const end = (): void => {
      if (isOpen) open--;
      isOpen = false;
    };
    const responder = new ResponderBuilder().withSendStatus((given, next) => {
      end();
      next(given);
    });
    return new ServerInterceptingCall(call, {
      ...responder.build(),
      start: (next) => {
        next({
          onReceiveMetadata: (metadata, pass) => pass(metadata),
          onReceiveMessage: (message, pass) => pass(message),
          onReceiveHalfClose: (pass) => pass(),
          // In all cases that were tested a status is sent, too, but grpc-js does not guarantee that.
          onCancel: () => end(),
        });
      },
    });
  };
}
