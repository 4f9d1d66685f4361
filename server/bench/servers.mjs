// node server/bench/servers.mjs [--rounds 5] [--seconds 4] [--clients 1,4] [--batch 2] [--tokens 120] [--steps 20]
//
// `conditioning` of this server and of mlserver, which runs the same layers in PyTorch: requests a second
// and latencies, in turns, and where this server's time goes. Both compute in float32 with one thread on
// the same weights, of Latte-1's size. The answers are compared first. gRPC carries binary tensors to
// both; mlserver's REST has JSON only, so REST is measured here alone.
// Needs server/bench/setup.sh, and a build (server/serve.sh --help builds it).
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { request as fetchOnce } from 'undici';
import { freePort } from '../test/failures/haproxy.mjs';
import { Replica } from '../test/failures/replica.mjs';
import { captionWidth, writeCheckpoint } from './checkpoint.mjs';
import { cpuSeconds, Load, median, quantile } from './load.mjs';
import { parseOptions } from './options.mjs';
import { answerOf, conditioningInputs, grpcRequest, restRequest } from './request.mjs';

const given = parseOptions(
  {
    rounds: 5,
    seconds: 4,
    clients: [1, 4],
    batch: 2,
    tokens: 120,
    steps: 20,
    venv: undefined,
  },
  ['seconds'],
);
const { rounds, seconds, batch, tokens, steps } = given;
const here = fileURLToPath(new URL('.', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'latte-servers-'));
const inputs = conditioningInputs({ batch, tokens, steps, width: captionWidth });

/** Starts mlserver in this process' stead: with workers, each request would be copied to one of them. */
async function startMlserver(weights) {
  const models = join(folder, 'models');
  mkdirSync(models);
  const [http, grpc, metrics] = [await freePort(), await freePort(), await freePort()];
  writeFileSync(
    join(models, 'settings.json'),
    JSON.stringify({
      host: '127.0.0.1',
      http_port: http,
      grpc_port: grpc,
      metrics_port: metrics,
      parallel_workers: 0,
      grpc_max_message_length: 2 ** 30,
      debug: false,
    }),
  );
  writeFileSync(
    join(models, 'model-settings.json'),
    JSON.stringify({
      name: 'conditioning',
      implementation: 'conditioning.Conditioning',
      parameters: { uri: weights, extra: { threads: 1 } },
    }),
  );
  const program = join(given.venv ?? join(here, '.venv'), 'bin/mlserver');
  const server = spawn(program, ['start', models], {
    cwd: folder,
    env: { ...process.env, PYTHONPATH: join(here, 'mlserver'), OMP_NUM_THREADS: '1' },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let messages = '';
  server.stderr.on('data', (bytes) => (messages += bytes));
  let ended = false;
  server.once('error', (error) => {
    messages += error.message;
    ended = true;
  });
  server.once('exit', () => (ended = true));
  for (;;) {
    if (ended) throw new Error(`mlserver ended: ${messages}`);
    const ready = await fetchOnce(`http://127.0.0.1:${http}/v2/health/ready`).catch(() => {});
    await ready?.body.dump();
    if (ready?.statusCode === 200) break;
    await delay(200);
  }
  return { pid: server.pid, grpc, stop: () => server.kill('SIGKILL') };
}

/** The largest difference of two answers, as a part of the largest value. */
function difference(ours, theirs) {
  let largest = 0;
  for (const [name, values] of ours) {
    const others = theirs.get(name);
    if (others?.length !== values.length) throw new Error(`${name} has another length`);
    const scale = values.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
    for (const [i, x] of values.entries()) {
      const off = Math.abs(x - others[i]) / scale;
      if (!(off <= largest)) largest = off;
    }
  }
  return largest;
}

/** Nanoseconds and runs of this server so far, by the protocol's statistics. */
async function statistics(port) {
  const answer = await fetchOnce(`http://127.0.0.1:${port}/v2/models/conditioning/stats`);
  const { model_stats: stats } = await answer.body.json();
  const { inference_stats: one } = stats[0];
  const { success, queue, compute_input, compute_infer, compute_output } = one;
  return { success, queue, compute_input, compute_infer, compute_output };
}

function since(before, after) {
  return Object.fromEntries(
    Object.entries(after).map(([name, { count, ns }]) => [
      name,
      (ns - before[name].ns) / 1e6 / Math.max(1, count - before[name].count),
    ]),
  );
}

const main = fileURLToPath(new URL('../dist/command/main.js', import.meta.url));
const replica = new Replica(main, ['--model', `latte=${folder}`, '--device', 'cpu']);
let load, peer;
try {
  const weights = await writeCheckpoint(folder);
  await replica.start();
  peer = await startMlserver(weights);
  load = new Load();
  const servers = [
    { name: 'mlserver, gRPC', pid: peer.pid, port: peer.grpc, request: grpcRequest(inputs) },
    {
      name: 'this server, gRPC',
      pid: replica.pid,
      port: replica.grpc,
      request: grpcRequest(inputs),
    },
    {
      name: 'this server, REST',
      pid: replica.pid,
      port: replica.port,
      request: restRequest(inputs),
    },
  ];
  const answers = [];
  for (const { port, request } of servers) {
    answers.push(answerOf(request, await load.once(`127.0.0.1:${port}`, request)));
  }
  const off = Math.max(...answers.slice(1).map((one) => difference(one, answers[0])));
  console.log(`Answers differ by ${off.toExponential(1)} of the largest value.`);
  if (!(off < 1e-5)) throw new Error('the servers compute different things');
  const [{ bytes }] = inputs;
  const size = [...answers[0].values()].reduce((sum, one) => sum + one.byteLength, 0);
  console.log(
    `caption [${batch}, ${tokens}, ${captionWidth}], ${steps} timesteps: ` +
      `${(bytes.length / 1e6).toFixed(1)} MB in, ${(size / 1e6).toFixed(1)} MB out; ` +
      `${availableParallelism()} processors, ${rounds} rounds of ${seconds} s`,
  );

  for (const clients of given.clients) {
    const turns = servers.map(() => []);
    for (let round = -1; round < rounds; round++) {
      for (let i = 0; i < servers.length; i++) {
        const which = (i + round + servers.length) % servers.length;
        const { pid, port, request } = servers[which];
        const before = { cpu: cpuSeconds(pid), stats: await statistics(replica.port) };
        const length = round < 0 ? 1 : seconds; // the first round is not measured
        const result = await load.run(`127.0.0.1:${port}`, request, { clients, seconds: length });
        if (round < 0) continue;
        turns[which].push({
          ...result,
          cpu: cpuSeconds(pid) - before.cpu,
          parts: since(before.stats, await statistics(replica.port)),
        });
      }
    }
    console.log(`\n${clients} client${clients === 1 ? '' : 's'}:`);
    for (const [which, { name }] of servers.entries()) {
      const list = turns[which];
      const all = list.flatMap(({ milliseconds }) => milliseconds);
      const rates = list.map((turn) => turn.milliseconds.length / turn.seconds);
      const per = (total) => ((1000 * total) / all.length).toFixed(1);
      console.log(
        `${name}: ${median(rates).toFixed(1)} requests/s (${Math.min(...rates).toFixed(1)} – ${Math.max(...rates).toFixed(1)}), ` +
          `p50 ${quantile(all, 0.5).toFixed(1)} ms, p99 ${quantile(all, 0.99).toFixed(1)} ms of ${all.length}; ` +
          `processor time a request: server ${per(list.reduce((sum, { cpu }) => sum + cpu, 0))} ms, ` +
          `load generator ${per(list.reduce((sum, { cpuSeconds: cpu }) => sum + cpu, 0))} ms`,
      );
      if (name.startsWith('mlserver')) continue;
      const part = (pick) => median(list.map(pick)).toFixed(2);
      console.log(
        `  of a request's mean time: layers ${part(({ parts }) => parts.compute_infer)} ms, ` +
          `copies ${part(({ parts }) => parts.compute_input + parts.compute_output)} ms, ` +
          `queue ${part(({ parts }) => parts.queue)} ms, ` +
          `encoding and decoding ${part(({ parts: { success, queue, compute_input, compute_infer, compute_output } }) => success - queue - compute_input - compute_infer - compute_output)} ms, ` +
          `transport and client ${part(({ milliseconds, parts }) => milliseconds.reduce((sum, one) => sum + one, 0) / milliseconds.length - parts.success)} ms`,
      );
    }
  }
} finally {
  load?.stop();
  peer?.stop();
  if (replica.port !== 0) await replica.end('SIGTERM');
  rmSync(folder, { recursive: true, force: true });
}
