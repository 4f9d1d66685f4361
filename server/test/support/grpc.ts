import { credentials, makeClientConstructor, type CallOptions, type Client } from '@grpc/grpc-js';
import { onTestFinished } from 'vitest';
import { loadServiceDefinition } from '../../lib/transport/grpc.js';
import type { BinaryInput } from './rest.js';

/** A ModelInferResponse. */
export interface InferResponse {
  model_name: string;
  model_version: string;
  id: string;
  outputs: { name: string; datatype: string; shape: number[] }[];
  raw_output_contents: Buffer[];
}

type Callback = (error: Error | null, answer: object) => void;
type Method = (request: object, options: CallOptions, callback: Callback) => { cancel(): void };

/** A client made from the protocol's own .proto; it is closed after the test. */
export class GrpcClient {
  readonly #client: Client;

  constructor(port: number) {
    const Constructor = makeClientConstructor(loadServiceDefinition(), 'GRPCInferenceService');
    this.#client = new Constructor(`127.0.0.1:${port}`, credentials.createInsecure(), {
      'grpc.max_receive_message_length': -1,
      'grpc.max_send_message_length': -1,
      // Makes the client use a connection of its own.
      'grpc.use_local_subchannel_pool': 1,
    });
    onTestFinished(() => this.close());
  }

  close(): void {
    this.#client.close();
  }

  async call(method: string, request: object = {}, options: CallOptions = {}): Promise<object> {
    return this.start(method, request, options).answer;
  }

  /** Starts a call, which can be cancelled. */
  start(
    method: string,
    request: object = {},
    options: CallOptions = {},
  ): { answer: Promise<object>; cancel: () => void } {
    let cancel!: () => void;
    const answer = new Promise<object>((resolve, reject) => {
      const run = (this.#client as unknown as Record<string, Method>)[method]!;
      const call = run.call(this.#client, request, options, (error, value) => {
        if (error === null) resolve(value);
        else reject(error);
      });
      cancel = () => call.cancel();
    });
    return { answer, cancel };
  }

  /** Sends bytes without encoding them. */
  async raw(method: string, bytes: Buffer): Promise<object> {
    return new Promise((resolve, reject) => {
      this.#client.makeUnaryRequest(
        `/inference.GRPCInferenceService/${method}`,
        (value: Buffer) => value,
        (value: Buffer) => value,
        bytes,
        (error, value) => (error === null ? resolve(value!) : reject(error)),
      );
    });
  }

  async infer(
    model: string,
    inputs: readonly BinaryInput[],
    more: object = {},
    options: CallOptions = {},
  ): Promise<InferResponse> {
    return (await this.call(
      'ModelInfer',
      inferRequest(model, inputs, more),
      options,
    )) as InferResponse;
  }
}

export function inferRequest(
  model: string,
  inputs: readonly BinaryInput[],
  more: object = {},
): object {
  return {
    model_name: model,
    inputs: inputs.map(({ name, datatype, shape }) => ({ name, datatype, shape })),
    raw_input_contents: inputs.map(({ bytes }) => bytes),
    ...more,
  };
}
