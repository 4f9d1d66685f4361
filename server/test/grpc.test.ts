import { status } from '@grpc/grpc-js';
import { connect, constants } from 'node:http2';
import { describe, expect, test } from 'vitest';
import { loadServiceDefinition } from '../lib/transport/grpc.js';
import { GrpcClient, inferRequest } from './support/grpc.js';
import { caption, input, int64, numbers, timesteps } from './support/inputs.js';
import { postBinary } from './support/rest.js';
import { Gate, serve, until } from './support/server.js';

describe('health and metadata', () => {
  test("live, ready, and the server's metadata", async () => {
    const { grpcPort } = await serve();
    const client = new GrpcClient(grpcPort);
    expect(await client.call('ServerLive')).toEqual({ live: true });
    expect(await client.call('ServerReady')).toEqual({ ready: true });
    expect(await client.call('ModelReady', { name: 'conditioning' })).toEqual({ ready: true });
    expect(await client.call('ServerMetadata')).toMatchObject({ name: 'latte-embeddings-server' });
  });

  test('a model: metadata, configuration, statistics, index', async () => {
    const { grpcPort } = await serve();
    const client = new GrpcClient(grpcPort);
    await client.infer('conditioning', [caption(1, 2), timesteps(1)]);
    expect(await client.call('ModelMetadata', { name: 'conditioning' })).toMatchObject({
      versions: ['1'],
      inputs: [{ name: 'caption', datatype: 'FP32' }, { name: 'timesteps' }, { name: 'frames' }],
    });
    expect(await client.call('ModelConfig', { name: 'conditioning' })).toMatchObject({
      config: {
        max_batch_size: 0,
        input: [{ data_type: 'TYPE_FP32', dims: [-1, -1, 20] }, {}, { optional: true }],
      },
    });
    expect(await client.call('ModelStatistics', { name: 'conditioning' })).toMatchObject({
      model_stats: [{ inference_count: 1, inference_stats: { success: { count: 1 } } }],
    });
    const { models } = (await client.call('RepositoryIndex')) as { models: { name: string }[] };
    expect(models.map(({ name }) => name)).toContain('patch_embed');
  });
});

describe('ModelInfer', () => {
  test('raw contents: the bits of REST', async () => {
    const { grpcPort, base } = await serve();
    const client = new GrpcClient(grpcPort);
    const inputs = [caption(2, 3), timesteps(9, 8), int64('frames', [4])];
    const answer = await client.infer('conditioning', inputs, { id: 'a request' });
    const rest = await postBinary(base, 'conditioning', inputs);
    expect(answer.id).toBe('a request');
    expect(answer.model_version).toBe('1');
    expect(answer.outputs.map(({ name, shape }) => ({ name, shape }))).toEqual(
      rest.outputs.map(({ name, shape }) => ({ name, shape })),
    );
    expect(answer.raw_output_contents.map((bytes) => Buffer.from(bytes))).toEqual(
      rest.outputs.map(({ bytes }) => bytes),
    );
  });

  test('half precision, raw', async () => {
    const { grpcPort, base } = await serve();
    const client = new GrpcClient(grpcPort);
    for (const dtype of ['float16', 'bfloat16'] as const) {
      const inputs = [caption(1, 3, 5, dtype)];
      const answer = await client.infer('caption_projection', inputs);
      const rest = await postBinary(base, 'caption_projection', inputs);
      expect(Buffer.from(answer.raw_output_contents[0]!)).toEqual(rest.outputs[0]!.bytes);
    }
  });

  test('typed contents, and some of the outputs', async () => {
    const { grpcPort, base } = await serve();
    const client = new GrpcClient(grpcPort);
    const values = Array.from(numbers(40));
    const answer = (await client.call('ModelInfer', {
      model_name: 'conditioning',
      inputs: [
        {
          name: 'caption',
          datatype: 'FP32',
          shape: [1, 2, 20],
          contents: { fp32_contents: values },
        },
        { name: 'timesteps', datatype: 'INT64', shape: [2], contents: { int64_contents: [7, -2] } },
      ],
      outputs: [{ name: 'modulation' }],
    })) as { outputs: object[]; raw_output_contents: Buffer[] };
    const rest = await postBinary(base, 'conditioning', [
      input('caption', [1, 2, 20], values),
      timesteps(7, -2),
    ]);
    expect(answer.outputs).toHaveLength(1);
    expect(Buffer.from(answer.raw_output_contents[0]!)).toEqual(
      rest.outputs.find(({ name }) => name === 'modulation')!.bytes,
    );
  });
});

describe('refusals', () => {
  const good = [caption(1, 2), timesteps(1)];
  const raw = good.map(({ bytes }) => bytes);
  const int64Caption = { name: 'caption', datatype: 'INT64', shape: [1, 2, 20] };
  const cases: [string, object, number, RegExp][] = [
    ['an unknown model', { model_name: 'x' }, status.NOT_FOUND, /no model "x"/],
    ['another version', { model_version: '7' }, status.NOT_FOUND, /version 1 only/],
    [
      'no inputs',
      { inputs: [], raw_input_contents: [] },
      status.INVALID_ARGUMENT,
      /"caption" is m/,
    ],
    ['too few raw', { raw_input_contents: raw.slice(1) }, status.INVALID_ARGUMENT, /has 1 tensors/],
    [
      'short raw',
      { raw_input_contents: [raw[0]!.subarray(1), raw[1]] },
      status.INVALID_ARGUMENT,
      /takes 160 bytes, but 159 came/,
    ],
    [
      'a negative length',
      inferRequest('conditioning', [{ ...good[0]!, shape: [-1, 2, 20] }, good[1]!]),
      status.INVALID_ARGUMENT,
      /whole numbers from 0/,
    ],
    [
      'lengths whose product overflows',
      inferRequest('conditioning', [{ ...good[0]!, shape: [2 ** 33, 2 ** 33, 2 ** 33] }, good[1]!]),
      status.INVALID_ARGUMENT,
      /elements/,
    ],
    [
      'a wrong type',
      { inputs: [int64Caption], raw_input_contents: [Buffer.alloc(320)] },
      status.INVALID_ARGUMENT,
      /must be FP32 or FP16 or BF16/,
    ],
    [
      'half types as typed contents',
      {
        inputs: [{ ...int64Caption, datatype: 'FP16', contents: { fp32_contents: [1] } }],
        raw_input_contents: [],
      },
      status.INVALID_ARGUMENT,
      /raw_input_contents/,
    ],
    [
      'the same input twice',
      inferRequest('conditioning', [good[0]!, good[0]!]),
      status.INVALID_ARGUMENT,
      /twice/,
    ],
    [
      'an unknown output',
      { outputs: [{ name: 'other' }] },
      status.INVALID_ARGUMENT,
      /no output "other"/,
    ],
    [
      'shared memory',
      { outputs: [{ name: 'x', parameters: { shared_memory_region: { string_param: 'r' } } }] },
      status.INVALID_ARGUMENT,
      /shared memory/,
    ],
    [
      'many tiny fields',
      { raw_input_contents: Array.from({ length: 1000 }, () => Buffer.alloc(0)) },
      status.INVALID_ARGUMENT,
      /more than 256 fields/,
    ],
  ];

  test('every case gets its status, and the server goes on', async () => {
    const { grpcPort, service } = await serve();
    const client = new GrpcClient(grpcPort);
    for (const [name, more, code, message] of cases) {
      const error = await client
        .infer('conditioning', good, more)
        .catch((reason: unknown) => reason);
      expect(error, name).toMatchObject({
        code,
        message: expect.stringMatching(message) as string,
      });
    }
    await client.infer('conditioning', good);
    expect(service.budget.used).toBe(0);
  });

  test('bytes that are no message', async () => {
    const { grpcPort } = await serve();
    const client = new GrpcClient(grpcPort);
    for (const bytes of ['ffffffffffffffffffffff', '3aff', '0a80', '2a05aabb', '0b']) {
      const error = await client
        .raw('ModelInfer', Buffer.from(bytes, 'hex'))
        .catch((e: unknown) => e);
      expect(error, bytes).toMatchObject({ code: status.INVALID_ARGUMENT });
    }
  });

  test('typed contents, which take fifty times their bytes once decoded', async () => {
    const { grpcPort } = await serve();
    const client = new GrpcClient(grpcPort);
    // One input with five million bytes of typed contents.
    const bytes = Buffer.concat([Buffer.from('2ac096b102', 'hex'), Buffer.alloc(5_000_000)]);
    const error = await client.raw('ModelInfer', bytes).catch((reason: unknown) => reason);
    expect(error).toMatchObject({
      code: status.INVALID_ARGUMENT,
      message: expect.stringMatching(/raw_input_contents/) as string,
    });
  });

  test('a message beyond the limit', async () => {
    const { grpcPort } = await serve('--max-body', '1');
    const client = new GrpcClient(grpcPort);
    const error = await client
      .infer('conditioning', [caption(1, 20_000), timesteps(1)])
      .catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: status.RESOURCE_EXHAUSTED });
  });
});

describe('open calls', () => {
  const inputs = [caption(1, 1), timesteps(1)];

  test('beyond a number are refused, and each that ends makes room', async () => {
    // There is memory for eight messages of the largest size.
    const server = await serve('--memory', '8', '--max-body', '1');
    const gate = new Gate(server);
    const [one, two] = [new GrpcClient(server.grpcPort), new GrpcClient(server.grpcPort)];
    const open = Array.from({ length: 8 }, () =>
      one.start('ModelInfer', inferRequest('conditioning', inputs)),
    );
    await until(() => server.service.scheduler.queued + gate.signals.length === 8);
    await expect(two.infer('conditioning', inputs)).rejects.toMatchObject({
      code: status.RESOURCE_EXHAUSTED,
    });
    // Half of them are cancelled, the others are answered.
    const cancelled = open.splice(0, 4);
    for (const call of cancelled) call.cancel();
    for (const call of cancelled) {
      await expect(call.answer).rejects.toMatchObject({ code: status.CANCELLED });
    }
    gate.open();
    for (const call of open) await call.answer;
    await until(() => server.service.budget.used === 0);
    // More than eight, one after another, some with a deadline that has passed.
    for (let i = 0; i < 12; i++) {
      const deadline = Date.now() - 1;
      await two.infer('conditioning', inputs, {}, { deadline }).catch(() => undefined);
      await two.infer('conditioning', inputs);
      await two.call('ServerLive');
    }
  });

  test('a connection that breaks ends its calls', async () => {
    const server = await serve('--memory', '8', '--max-body', '1');
    const gate = new Gate(server);
    const { scheduler } = server.service;
    const serialize = loadServiceDefinition().ModelInfer!.requestSerialize;
    const message = serialize(inferRequest('conditioning', inputs));
    const frame = Buffer.alloc(5);
    frame.writeUInt32BE(message.length, 1);
    for (let round = 0; round < 2; round++) {
      const session = connect(`http://127.0.0.1:${server.grpcPort}`);
      session.on('error', () => {});
      for (let i = 0; i < 8; i++) {
        const stream = session.request({
          ':method': 'POST',
          ':path': '/inference.GRPCInferenceService/ModelInfer',
          'content-type': 'application/grpc',
          te: 'trailers',
        });
        stream.on('error', () => {});
        stream.end(Buffer.concat([frame, message]));
      }
      // In the second round the two runs of the first round still use the device.
      await until(() => scheduler.queued + (round === 0 ? gate.signals.length : 0) === 8);
      session.destroy();
      await until(() => scheduler.queued === 0 && gate.signals.every(({ aborted }) => aborted));
    }
    gate.open();
    await until(() => server.service.budget.used === 0);
    await new GrpcClient(server.grpcPort).infer('conditioning', inputs);
  });
});

describe('calls whose message never ends', () => {
  test.each(['their connection breaks', 'they are reset'])(
    'make room for others when %s',
    async (how) => {
      const server = await serve('--memory', '8', '--max-body', '1');
      for (let round = 0; round < 3; round++) {
        const session = connect(`http://127.0.0.1:${server.grpcPort}`);
        session.on('error', () => {});
        // While a session is connecting, a ping fails at once.
        await new Promise<void>((resolve) => session.once('connect', () => resolve()));
        const ping = async (): Promise<void> => {
          const failure = await new Promise<Error | null>((resolve) => session.ping(resolve));
          expect(failure).toBeNull();
        };
        const streams = Array.from({ length: 8 }, () =>
          session.request({
            ':method': 'POST',
            ':path': '/inference.GRPCInferenceService/ModelInfer',
            'content-type': 'application/grpc',
            te: 'trailers',
          }),
        );
        for (const stream of streams) {
          stream.on('error', () => {});
          stream.write(Buffer.from([0, 0, 0, 1, 0, 1]));
        }
        // The server has received what was sent before.
        await ping();
        if (how === 'they are reset') {
          for (const stream of streams) stream.close(constants.NGHTTP2_CANCEL);
          await ping();
        }
        session.destroy();
        await new Promise<void>((resolve) => session.once('close', () => resolve()));
      }
      const client = new GrpcClient(server.grpcPort);
      const inputs = [caption(1, 1), timesteps(1)];
      // The server may see the end of a connection after a new one, so the call is tried again while it is
      // full.
      for (;;) {
        const answer = await client.infer('conditioning', inputs).catch((error: unknown) => error);
        if (!(answer instanceof Error)) break;
        expect(answer).toMatchObject({ code: status.RESOURCE_EXHAUSTED });
      }
    },
  );
});

describe('deadlines and cancellation', () => {
  test('a deadline ends the call, and the forward', async () => {
    const server = await serve();
    const gate = new Gate(server);
    const client = new GrpcClient(server.grpcPort);
    const error = await client
      .infer('conditioning', [caption(1, 1), timesteps(1)], {}, { deadline: Date.now() + 300 })
      .catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: status.DEADLINE_EXCEEDED });
    await gate.arrivals(1);
    if (!gate.signals[0]!.aborted) {
      await new Promise((resolve) => gate.signals[0]!.addEventListener('abort', resolve));
    }
    gate.open();
  });

  test('a client that cancels ends the forward', async () => {
    const server = await serve();
    const gate = new Gate(server);
    const client = new GrpcClient(server.grpcPort);
    const call = client.start(
      'ModelInfer',
      inferRequest('conditioning', [caption(1, 1), timesteps(1)]),
    );
    await gate.arrivals(1);
    const aborted = new Promise((resolve) => gate.signals[0]!.addEventListener('abort', resolve));
    call.cancel();
    await expect(call.answer).rejects.toMatchObject({ code: status.CANCELLED });
    await aborted;
    gate.open();
  });

  test('the parameter timeout, in microseconds', async () => {
    const server = await serve();
    const gate = new Gate(server);
    const client = new GrpcClient(server.grpcPort);
    const error = await client
      .infer('conditioning', [caption(1, 1), timesteps(1)], {
        parameters: { timeout: { int64_param: 1000 } },
      })
      .catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: status.DEADLINE_EXCEEDED });
    gate.open();
  });
});
