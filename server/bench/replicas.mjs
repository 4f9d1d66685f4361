// node server/bench/replicas.mjs [--device cpu] [--rounds 5] [--seconds 5] [--clients 8]
//
// Requests a second of `conditioning` from one replica and from two, each behind HAProxy, which take
// turns. A replica has one thread. Prints the share of the machine that each kind of process took.
//   --device cpu    a checkpoint of Latte-1's size; the processors are shared with the load generator
//   --device npu:0  a small checkpoint, for the simulated NPU with a fixed time for each launch:
//                   LATTE_TWIN_LAUNCH_US=20000 LATTE_TWIN_DELAY=0 scripts/twin.sh node …
// Needs haproxy, and a build (server/serve.sh --help builds it). --check 1.8 fails below that ratio.
import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startProxy } from '../test/failures/haproxy.mjs';
import { Replica } from '../test/failures/replica.mjs';
import { captionWidth, writeCheckpoint } from './checkpoint.mjs';
import { cpuSeconds, Load, median, quantile } from './load.mjs';
import { parseOptions } from './options.mjs';
import { conditioningInputs, restRequest } from './request.mjs';

const { device, rounds, seconds, clients, check } = parseOptions(
  {
    device: 'cpu',
    rounds: 5,
    seconds: 5,
    clients: 8,
    check: 0,
  },
  ['seconds', 'check'],
);
const root = fileURLToPath(new URL('../..', import.meta.url));
const onCpu = device === 'cpu';
const folder = mkdtempSync(join(tmpdir(), 'latte-replicas-'));
const small = join(root, 'test/checkpoint/fixtures/models/latte-odd');
const model = onCpu ? folder : small;
const request = restRequest(
  conditioningInputs(
    onCpu
      ? { batch: 2, tokens: 120, width: captionWidth, steps: 20 }
      : { batch: 2, tokens: 8, width: 20, steps: 4 },
  ),
);

const args = ['--model', `latte=${model}`, '--device', device, '--log-level', 'info'];
// Batches would make one replica faster the more requests wait for it.
args.push('--batch', 'off');
const main = join(root, 'server/dist/command/main.js');
const replicas = [new Replica(main, args), new Replica(main, args)];
const proxies = [];
let load;
try {
  if (onCpu) await writeCheckpoint(folder);
  await Promise.all(replicas.map((replica) => replica.start()));
  const ports = replicas.map(({ port }) => port);
  // Busy replicas may answer a check late; none of them ends here.
  const checks = 'inter 1s fall 10 rise 1';
  for (const count of [1, 2]) {
    proxies.push(await startProxy(folder, ports.slice(0, count), true, checks));
  }
  load = new Load();
  const behind = proxies.map(({ base }) => base.replace('http://', ''));
  const turn = async (which, length) => {
    const pids = {
      replicas: replicas.map(({ pid }) => pid),
      haproxy: proxies.map(({ pid }) => pid),
    };
    const before = Object.entries(pids).map(([name, list]) => [name, list.map(cpuSeconds)]);
    const result = await load.run(behind[which], request, { clients, seconds: length });
    const shares = { 'load generator': result.cpuSeconds / result.seconds };
    for (const [name, list] of before) {
      const used = pids[name].map((pid, i) => cpuSeconds(pid) - list[i]);
      shares[name] = used.reduce((sum, one) => sum + one, 0) / result.seconds;
    }
    return { ...result, shares, perSecond: result.milliseconds.length / result.seconds };
  };
  for (const which of [0, 1]) await turn(which, 1); // connections, and warm caches
  const turns = [[], []];
  for (let round = 0; round < rounds; round++) {
    for (const which of round % 2 === 0 ? [0, 1] : [1, 0]) {
      turns[which].push(await turn(which, seconds));
    }
  }
  console.log(
    `${device}, ${availableParallelism()} processors, ${clients} clients, ${rounds} rounds of ${seconds} s, ` +
      `a request of ${(request.body.length / 1e3).toFixed(0)} kB`,
  );
  for (const [which, list] of turns.entries()) {
    const rates = list.map(({ perSecond }) => perSecond);
    const latencies = list.flatMap(({ milliseconds }) => milliseconds);
    const shares = Object.keys(list[0].shares)
      .map((name) => `${name} ${median(list.map((one) => one.shares[name])).toFixed(2)}`)
      .join(', ');
    const range = `${Math.min(...rates).toFixed(1)} – ${Math.max(...rates).toFixed(1)}`;
    console.log(
      `${which + 1} replica${which === 0 ? '' : 's'}: ${median(rates).toFixed(1)} requests/s (${range}), ` +
        `p50 ${quantile(latencies, 0.5).toFixed(1)} ms, p99 ${quantile(latencies, 0.99).toFixed(1)} ms; processors: ${shares}`,
    );
  }
  const ratios = turns[0].map(({ perSecond }, i) => turns[1][i].perSecond / perSecond);
  const ratio = median(ratios);
  const range = `${Math.min(...ratios).toFixed(2)} – ${Math.max(...ratios).toFixed(2)}`;
  console.log(`two replicas over one: ${ratio.toFixed(2)} × (${range})`);
  if (ratio < check) {
    console.error(`The ratio is below ${check}.`);
    process.exitCode = 1;
  }
} finally {
  load?.stop();
  for (const proxy of proxies) proxy.stop();
  await Promise.all(replicas.map((replica) => replica.port !== 0 && replica.end('SIGTERM')));
  rmSync(folder, { recursive: true, force: true });
}
