// forward-loop.mjs <way> <forwards>
//
// Runs many forwards of one small layer, for count-system-calls.sh. Prints as JSON how often this
// process's threads went to sleep during these (voluntary context switches). Ways:
//   sync          forwardSync on the JavaScript thread
//   async         forward, each awaited
//   alternating   forwardSync and forward in turn: the pool's callers change from call to call
//   workers       forwardSync in four workers at once
import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';

const { TimestepEmbedding, Tensor } = createRequire(import.meta.url)('../../dist/index.js');

/** TimestepEmbedding [2, 256] → 1152: two loops, each with work for a few threads. */
function makeLayer() {
  const layer = new TimestepEmbedding({ inChannels: 256, timeEmbedDim: 1152, device: 'cpu' });
  const filled = (shape) => {
    const values = new Float32Array(shape.reduce((a, b) => a * b, 1));
    return new Tensor(
      'float32',
      values.map((_, i) => Math.sin(i)),
      shape,
    );
  };
  layer.loadStateDict({
    'linear_1.weight': filled([1152, 256]),
    'linear_1.bias': filled([1152]),
    'linear_2.weight': filled([1152, 1152]),
    'linear_2.bias': filled([1152]),
  });
  return { layer, sample: filled([2, 256]), out: Tensor.zeros([2, 1152], { device: 'cpu' }) };
}

async function loop(way, forwards) {
  const { layer, sample, out } = makeLayer();
  const result = { out };
  for (let i = 0; i < forwards; i++) {
    const async = way === 'async' || (way === 'alternating' && i % 2 === 1);
    if (async) await layer.forward(sample, undefined, result);
    else layer.forwardSync(sample, undefined, result);
  }
}

/** Voluntary context switches so far, of the pool's helpers and of all other threads. */
function switches() {
  const counts = { helpers: 0, others: 0 };
  for (const task of readdirSync('/proc/self/task')) {
    const status = readFileSync(`/proc/self/task/${task}/status`, 'utf8');
    const name = /^Name:\s*(.*)$/m.exec(status)[1];
    const count = Number(/^voluntary_ctxt_switches:\s*(\d+)$/m.exec(status)[1]);
    counts[name === 'latte-helper' ? 'helpers' : 'others'] += count;
  }
  return counts;
}

async function inWorkers(forwards) {
  const ends = Array.from(
    { length: 4 },
    () =>
      new Promise((resolve, reject) => {
        const worker = new Worker(new URL(import.meta.url), { workerData: forwards / 4 });
        worker.once('message', resolve).once('error', reject);
      }),
  );
  await Promise.all(ends);
}

if (isMainThread) {
  const [way, count] = process.argv.slice(2);
  const forwards = Number(count);
  await (way === 'workers' ? inWorkers(forwards) : loop(way, forwards));
  process.stdout.write(JSON.stringify(switches()));
  process.exit(0); // workers stay until their switches are counted
} else {
  await loop('sync', workerData);
  parentPort.postMessage('done');
  parentPort.on('message', () => undefined); // keeps the worker alive
}
