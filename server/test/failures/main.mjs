// node server/test/failures/main.mjs [--requests 3000] [--clients 16] [--proxy-retries]
//
// Three replicas behind HAProxy, under load from clients that follow the rules of docs/serving.md. While
// requests are open, one replica is killed and started again, one is drained and started again, and one
// is restarted at once. Each request has its own id and inputs. It must get exactly one answer, with its
// id and the bytes that an undisturbed replica gave. With --proxy-retries HAProxy itself also sends
// requests again, and hides most of the failures. Needs haproxy and a build (server/serve.sh --help
// builds it).
import { Buffer } from 'node:buffer';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Agent } from 'undici';
import { inferWithRetries } from './client.mjs';
import { startProxy } from './haproxy.mjs';
import { Replica } from './replica.mjs';

const { values } = parseArgs({
  options: {
    requests: { type: 'string', default: '3000' },
    clients: { type: 'string', default: '16' },
    main: { type: 'string' },
    'proxy-retries': { type: 'boolean', default: false },
  },
});
const root = fileURLToPath(new URL('../../..', import.meta.url));
const main = values.main ?? join(root, 'server/dist/command/main.js');
const model = join(root, 'test/checkpoint/fixtures/models/latte-odd');
const total = Number(values.requests);
const clients = Number(values.clients);
const kinds = 50;
const folder = mkdtempSync(join(tmpdir(), 'latte-failures-'));

/** Makes a request of kind k; its shapes and values differ from those of other kinds. */
function requestOf(kind, id) {
  const tokens = 1 + (kind % 7);
  const caption = Float32Array.from({ length: 2 * tokens * 20 }, (_, i) =>
    Math.sin(i * (kind + 1)),
  );
  const steps = Float32Array.from({ length: 1 + (kind % 5) }, (_, i) => 999 - i - kind);
  const input = (name, shape, data) => ({
    name,
    datatype: 'FP32',
    shape,
    parameters: { binary_data_size: data.byteLength },
  });
  const json = Buffer.from(
    JSON.stringify({
      id,
      parameters: { binary_data_output: true },
      inputs: [
        input('caption', [2, tokens, 20], caption),
        input('timesteps', [steps.length], steps),
      ],
    }),
  );
  return {
    body: Buffer.concat([json, Buffer.from(caption.buffer), Buffer.from(steps.buffer)]),
    headers: { 'inference-header-content-length': String(json.length) },
  };
}

function check(condition, message) {
  if (!condition) throw new Error(message);
}

const drain = ['--drain-delay', '600', '--log-level', 'info'];
const replicas = [0, 1, 2].map(
  () => new Replica(main, ['--model', model, '--device', 'cpu', ...drain]),
);
let retries = {};
const answered = new Map();
const dispatcher = new Agent({ connections: clients });
let proxy;
try {
  await Promise.all(replicas.map((replica) => replica.start()));
  const infer = (base, kind, id) =>
    inferWithRetries({
      url: `${base}/v2/models/conditioning/infer`,
      dispatcher,
      ...requestOf(kind, id),
      onRetry: (reason) => (retries[reason] = (retries[reason] ?? 0) + 1),
    });
  const expected = [];
  for (let kind = 0; kind < kinds; kind++) {
    const { binary } = await infer(`http://127.0.0.1:${replicas[0].port}`, kind, 'in peace');
    expected.push(binary);
  }
  proxy = await startProxy(
    folder,
    replicas.map(({ port }) => port),
    values['proxy-retries'],
  );
  await infer(proxy.base, 0, 'the proxy listens');
  retries = {};

  let next = 0;
  const client = async () => {
    while (next < total) {
      const number = next++;
      const id = `request-${number}`;
      const { json, binary } = await infer(proxy.base, number % kinds, id);
      check(json.id === id, `${id} got the answer of ${json.id}`);
      check(!answered.has(id), `${id} was answered twice`);
      check(binary.equals(expected[number % kinds]), `${id} got other bytes`);
      answered.set(id, true);
    }
  };
  /** Resolves when this share of the requests is answered. */
  const at = async (share) => {
    while (answered.size < share * total) await delay(5);
  };
  const trouble = async () => {
    await at(0.1);
    check((await replicas[0].end('SIGKILL')) === 'SIGKILL', 'the first replica was not killed');
    await at(0.25);
    await replicas[0].start();
    await at(0.4);
    check((await replicas[1].end('SIGTERM')) === 0, 'the second replica did not drain');
    await at(0.55);
    await replicas[1].start();
    await at(0.7);
    check((await replicas[2].end('SIGTERM')) === 0, 'the third replica did not drain');
    await replicas[2].start();
  };
  const started = performance.now();
  await Promise.all([trouble(), ...Array.from({ length: clients }, client)]);
  const seconds = (performance.now() - started) / 1000;
  check(answered.size === total, `${answered.size} of ${total} requests were answered`);
  const lines = [
    `${total} requests of ${clients} clients in ${seconds.toFixed(1)} s: each answered once, with its bytes`,
    `killed, drained, restarted: one replica each. Sent again: ${JSON.stringify(retries)}`,
  ];
  console.log(lines.join('\n'));
} catch (error) {
  console.error(error);
  process.exitCode = 1;
} finally {
  proxy?.stop();
  await Promise.all(replicas.map((replica) => replica.port !== 0 && replica.end('SIGKILL')));
  await dispatcher.close();
  rmSync(folder, { recursive: true, force: true });
}
