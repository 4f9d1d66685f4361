import { connect } from 'node:net';
import { describe, expect, test } from 'vitest';
import { caption, numbers, timesteps } from './support/inputs.js';
import { binaryBody, get, post, postBinary, postJson } from './support/rest.js';
import { Gate, memoryLog, serve, serveWithLog, until } from './support/server.js';

const shape = [1, 2, 20];
const data = Array.from(numbers(40));
const good = [
  { name: 'caption', datatype: 'FP32', shape, data },
  { name: 'timesteps', datatype: 'FP32', shape: [1], data: [1] },
];

function withCaption(change: object): object {
  return { inputs: [{ ...good[0], ...change }, good[1]] };
}

/** JSON requests, each with one mistake, and a part of the error's message. */
const wrongJson: [string, string | object, RegExp][] = [
  ['nothing', '', /no JSON/],
  ['half an object', '{"inputs": [', /no JSON/],
  ['NaN as a number', '{"inputs": [NaN]}', /no JSON/],
  ['bytes that are not UTF-8', '\xff', /no JSON/],
  ['an array', '[]', /must be a JSON object/],
  ['null', 'null', /must be a JSON object/],
  ['no inputs', {}, /inputs must be an array/],
  ['inputs that are an object', { inputs: {} }, /inputs must be an array/],
  ['an input that is null', { inputs: [null] }, /an input must be a JSON object/],
  ['too many inputs', { inputs: new Array(17).fill(good[0]) }, /at most 16/],
  ['the same input twice', { inputs: [good[0], good[0], good[1]] }, /"caption" is there twice/],
  ['an input that is missing', { inputs: [good[0]] }, /"timesteps" is missing/],
  ['an input without a name', withCaption({ name: undefined }), /name must be a string/],
  ['an input of another name', withCaption({ name: '__proto__' }), /no input "__proto__"/],
  ['an unknown type', withCaption({ datatype: 'FP8' }), /must be one of FP32/],
  [
    'a type that is a property of all objects',
    withCaption({ datatype: 'toString' }),
    /must be one/,
  ],
  [
    'a type that the input does not take',
    withCaption({ datatype: 'INT64', data: data.map(() => 1) }),
    /must be FP32 or/,
  ],
  ['no shape', withCaption({ shape: undefined }), /shape must be an array/],
  ['a negative length', withCaption({ shape: [-1, 2, 20] }), /whole numbers from 0/],
  ['a fraction as a length', withCaption({ shape: [1.5, 2, 20] }), /whole numbers from 0/],
  ['a length in words', withCaption({ shape: ['1', 2, 20] }), /whole numbers from 0/],
  ['lengths whose product overflows', withCaption({ shape: [2 ** 40, 2 ** 40, 20] }), /elements/],
  ['lengths with zero that overflow', withCaption({ shape: [0, 2 ** 52, 2 ** 52] }), /elements/],
  ['nine axes', withCaption({ shape: new Array(9).fill(1) }), /at most 8/],
  ['another rank', withCaption({ shape: [40] }), /must have shape \[\?, \?, 20\]/],
  ['another width', withCaption({ shape: [1, 4, 10] }), /must have shape \[\?, \?, 20\]/],
  ['no data', withCaption({ data: undefined }), /data must be an array/],
  ['too few numbers', withCaption({ data: data.slice(1) }), /has 39 numbers/],
  ['too many numbers', withCaption({ data: [...data, 1] }), /more than the 40/],
  ['words', withCaption({ data: data.map(String) }), /must hold numbers/],
  ['null as a number', withCaption({ data: [...data.slice(1), null] }), /must hold numbers/],
  ['data nested too deep', withCaption({ data: [[[[1]]]] }), /nested deeper/],
  ['a number beyond the type', withCaption({ data: [...data.slice(1), 1e39] }), /cannot hold/],
  [
    'a number beyond all types',
    JSON.stringify({ inputs: good }).replace(String(data[3]), '1e999'),
    /cannot hold/,
  ],
  [
    'a number beyond half precision',
    withCaption({ datatype: 'FP16', data: [...data.slice(1), 65520] }),
    /FP16 cannot hold/,
  ],
  [
    'an integer that JSON rounds',
    { inputs: [good[0], { ...good[1], datatype: 'INT64', data: [2 ** 53] }] },
    /INT64 cannot hold/,
  ],
  [
    'a fraction as an integer',
    { inputs: [good[0], { ...good[1], datatype: 'INT32', data: [0.5] }] },
    /INT32 cannot hold/,
  ],
  ['no timesteps', { inputs: [good[0], { ...good[1], shape: [0], data: [] }] }, /at least one/],
  [
    'negative frames',
    { inputs: [...good, { name: 'frames', datatype: 'INT64', shape: [1], data: [-1] }] },
    /"frames" must be a number from 0/,
  ],
  [
    'an answer larger than all memory',
    { inputs: [...good, { name: 'frames', datatype: 'INT64', shape: [1], data: [2 ** 31] }] },
    /are the most/,
  ],
  [
    'binary data without its header',
    withCaption({ data: undefined, parameters: { binary_data_size: 160 } }),
    /Inference-Header-Content-Length/,
  ],
  ['shared memory', withCaption({ parameters: { shared_memory_region: 'r' } }), /shared memory/],
  ['parameters that are a list', withCaption({ parameters: [] }), /must be a JSON object/],
  ['an id that is a number', { inputs: good, id: 7 }, /id must be a string/],
  ['a long id', { inputs: good, id: 'x'.repeat(2000) }, /id must be a string/],
  ['a negative timeout', { inputs: good, parameters: { timeout: -1 } }, /timeout/],
  ['a flag in words', { inputs: good, parameters: { binary_data_output: 'yes' } }, /true or false/],
  ['outputs that are a word', { inputs: good, outputs: 'all' }, /outputs must be an array/],
  ['an unknown output', { inputs: good, outputs: [{ name: 'x' }] }, /no output "x"/],
  [
    'the same output twice',
    { inputs: good, outputs: [{ name: 'modulation' }, { name: 'modulation' }] },
    /twice/,
  ],
];

describe('a request that is wrong gets an error object', () => {
  test('in JSON', async () => {
    const { base, service } = await serve();
    const url = `${base}/v2/models/conditioning/infer`;
    for (const [name, body, message] of wrongJson) {
      const bytes = typeof body === 'string' ? Buffer.from(body, 'latin1') : JSON.stringify(body);
      const answer = await post(url, bytes);
      expect(answer.status, name).toBe(400);
      expect(answer.error, name).toMatch(message);
      expect(Object.keys(answer.json), name).toEqual(['error']);
    }
    expect((await postJson(base, 'conditioning', { inputs: good })).status).toBe(200);
    expect(service.budget.used).toBe(0);
  });

  test('in its binary part', async () => {
    const { base } = await serve();
    const url = `${base}/v2/models/conditioning/infer`;
    const inputs = [caption(1, 2), timesteps(1)];
    const { body, headerLength } = binaryBody(inputs);
    const json = body.toString('latin1', 0, headerLength);
    const sized = (size: unknown): [Buffer, string] => {
      const changed = json.replace('"binary_data_size":160', `"binary_data_size":${String(size)}`);
      return [
        Buffer.concat([Buffer.from(changed), body.subarray(headerLength)]),
        `${changed.length}`,
      ];
    };
    const cases: [string, Buffer, string, RegExp][] = [
      ['a header length beyond the body', body, '99999999', /must be a number up to/],
      ['a header length that is no number', body, '-5', /must be a number up to/],
      ['a header length of 0x10', body, '0x10', /must be a number up to/],
      ['a header length of nothing', body, '', /must be a number up to/],
      ['a header length that cuts the JSON', body, String(headerLength - 1), /no JSON/],
      ['bytes that are missing', body.subarray(0, -1), String(headerLength), /bytes left/],
      ['bytes too many', Buffer.concat([body, body]), String(headerLength), /belong to no input/],
      ['a size that lies', ...sized(156), /takes 160 bytes, but 156 came/],
      ['a size beyond the body', ...sized(1e15), /bytes left/],
      ['a negative size', ...sized(-160), /bytes left/],
      ['a size in words', ...sized('"160"'), /bytes left/],
      ['a fraction as a size', ...sized(159.5), /bytes left/],
    ];
    for (const [name, bytes, length, message] of cases) {
      const answer = await post(url, bytes, { 'Inference-Header-Content-Length': length });
      expect(answer.status, name).toBe(400);
      expect(answer.error, name).toMatch(message);
    }
    expect((await postBinary(base, 'conditioning', inputs)).status).toBe(200);
  });

  test('fields and parameters that the protocol does not name are ignored', async () => {
    const { base } = await serve();
    const answer = await postJson(base, 'conditioning', {
      ...withCaption({ parameters: { content_type: 'np' }, comment: 1 }),
      parameters: { priority: 3, sequence_id: 7 },
      extra: { deep: [] },
    });
    expect(answer.status).toBe(200);
  });

  test('paths and methods that do not exist', async () => {
    const { base } = await serve();
    for (const path of ['/', '/v2/modelz', '/v2/models/a/b/c', `/v2/models/${'x'.repeat(3000)}`]) {
      const { status, json } = await get(`${base}${path}`);
      expect(status, path).toBeGreaterThanOrEqual(400);
      expect((json as { error: unknown }).error, path).toEqual(expect.any(String));
    }
    expect((await post(`${base}/v2/models/x/infer`, '{}')).status).toBe(404);
    expect((await get(`${base}/v2/models/%ff`)).status).toBe(400);
  });
});

/** Sends bytes; resolves to everything that arrived until the connection ended. */
async function sendRaw(port: number, text: string | Buffer): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    const socket = connect(port, '127.0.0.1', () => socket.write(text));
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    socket.on('close', () => resolve(Buffer.concat(chunks).toString()));
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'ECONNRESET' && error.code !== 'EPIPE') reject(error);
    });
  });
}

describe('limits', () => {
  const infer = 'POST /v2/models/conditioning/infer HTTP/1.1\r\nHost: x\r\n';

  test('a body beyond the limit, announced or not', async () => {
    const { base, httpPort, service } = await serve('--max-body', '1');
    const answer = await post(`${base}/v2/models/conditioning/infer`, Buffer.alloc(2 ** 20 + 1));
    expect(answer.status).toBe(413);
    expect(answer.error).toEqual(expect.any(String));
    const chunk = Buffer.alloc(2 ** 20 + 1);
    const chunked = Buffer.concat([
      Buffer.from(`${infer}Transfer-Encoding: chunked\r\n\r\n${chunk.length.toString(16)}\r\n`),
      chunk,
    ]);
    expect(await sendRaw(httpPort, chunked)).toMatch(/^HTTP\/1.1 413 [^]*"error"/);
    await until(() => service.budget.used === 0);
  });

  test('JSON beyond its limit', async () => {
    const { base } = await serve('--max-json', '1');
    const answer = await post(
      `${base}/v2/models/conditioning/infer`,
      `{"inputs": [${'[],'.repeat(400_000)}[]]}`,
    );
    expect(answer.status).toBe(413);
    expect(answer.error).toMatch(/binary data/);
  });

  test('headers beyond the limit', async () => {
    const { httpPort } = await serve('--max-header', '4096');
    const text = `${infer}X-Long: ${'a'.repeat(10_000)}\r\n\r\n`;
    expect(await sendRaw(httpPort, text)).toMatch(/^HTTP\/1.1 431 [^]*"error"/);
  });

  test('bytes that are not HTTP', async () => {
    const { httpPort, base } = await serve();
    expect(await sendRaw(httpPort, 'PRI * HTTP/9\r\n\r\n')).toMatch(/^HTTP\/1.1 400 [^]*"error"/);
    const both = `${infer}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`;
    expect(await sendRaw(httpPort, both)).toMatch(/^HTTP\/1.1 400 /);
    expect((await get(`${base}/v2/health/live`)).status).toBe(200);
  });

  test('a body that does not arrive in time', async () => {
    const { httpPort, service } = await serve('--receive-timeout', '200');
    const slow = `${infer}Content-Length: 1000\r\n\r\n{"inputs"`;
    expect(await sendRaw(httpPort, slow)).toMatch(/^HTTP\/1.1 408 [^]*"error"/);
    await until(() => service.budget.used === 0);
  });

  test('bodies that would take all memory together are refused, not read', async () => {
    const server = await serve('--max-body', '1', '--memory', '2');
    const { base, httpPort, service } = server;
    const open = [1, 2].map(() => {
      const socket = connect(httpPort, '127.0.0.1', () => {
        socket.write(`${infer}Content-Length: ${2 ** 20}\r\n\r\n`);
      });
      return socket;
    });
    await until(() => service.budget.used === 2 * 2 ** 20);
    const answer = await postJson(base, 'conditioning', { inputs: good });
    expect(answer.status).toBe(429);
    expect(answer.headers['retry-after']).toBe('1');
    for (const socket of open) socket.destroy();
    await until(() => service.budget.used === 0);
    expect((await postJson(base, 'conditioning', { inputs: good })).status).toBe(200);
  });

  test('a full queue', async () => {
    const server = await serve('--queue', '1', '--runs-per-device', '1');
    const gate = new Gate(server);
    const send = (): ReturnType<typeof postJson> =>
      postJson(server.base, 'conditioning', { inputs: good });
    const first = send();
    await gate.arrivals(1);
    const second = send();
    await until(() => server.service.scheduler.queued === 1);
    const refused = await send();
    expect(refused.status).toBe(429);
    expect(refused.headers['retry-after']).toBe('1');
    gate.open();
    expect((await first).status).toBe(200);
    expect((await second).status).toBe(200);
  });
});

describe('clients that do not wait', () => {
  test('a client that closes its connection ends the forward, and its memory is freed', async () => {
    const { log, lines } = memoryLog();
    const server = await serveWithLog(log);
    const gate = new Gate(server);
    const client = new AbortController();
    const answer = postBinary(
      server.base,
      'conditioning',
      [caption(1, 1), timesteps(1)],
      undefined,
      client.signal,
    );
    await gate.arrivals(1);
    client.abort();
    await expect(answer).rejects.toThrow();
    await until(() => gate.signals[0]!.aborted);
    gate.open();
    await until(() => server.service.budget.used === 0);
    await until(() => lines.some(({ outcome }) => outcome === 'cancelled'));
  });

  test('the parameter timeout, in microseconds, and the server’s own limit', async () => {
    const server = await serve('--timeout', '100');
    const gate = new Gate(server);
    for (const parameters of [{ timeout: 1000 }, {}]) {
      const answer = await postJson(server.base, 'conditioning', { inputs: good, parameters });
      expect(answer.status).toBe(504);
      expect(answer.error).toMatch(/no answer within/);
    }
    gate.open();
    await until(() => server.service.budget.used === 0);
  });
});
