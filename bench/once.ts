// once.ts <latte-embeddings | onnxruntime-node> <work as JSON>
//
// Computes a PatchEmbed in a process of its own and prints what that cost, as JSON.
import { readFileSync } from 'node:fs';
import { type Data } from './data.js';
import { dataOf, type PatchWork } from './work.js';

export interface OnceReport {
  /** Nanoseconds from the start of loading the library to a ready layer or session. */
  load: number;
  /** Nanoseconds of the first forward. */
  firstCall: number;
  /** The peak of the process's resident bytes, minus those before it loaded the library. */
  peakBytes: number;
}

function status(field: 'VmHWM' | 'VmRSS'): number {
  const line = new RegExp(`${field}:\\s+(\\d+) kB`).exec(readFileSync('/proc/self/status', 'utf8'));
  return Number(line![1]) * 1024;
}

/** Loads the product, and returns its forward. The result is disposed, as a user's program would do. */
async function product(work: PatchWork, data: Data): Promise<() => unknown> {
  const { loadLayer } = await import('./cases/layers.js');
  const { layer, input } = await loadLayer(work, data, 'float32');
  return () => layer.forwardSync(input).dispose();
}

async function onnx(work: PatchWork, data: Data): Promise<() => unknown> {
  const { modelsOf } = await import('./peers/onnx-layers.js');
  const { onnxFeeds, onnxSession } = await import('./peers/onnxruntime.js');
  const model = modelsOf(work, data).at(-1)!;
  const session = await onnxSession(model, Number(process.env.LATTE_NUM_THREADS ?? 2));
  const feeds = onnxFeeds(data);
  return () => session.run(feeds);
}

const [name, json] = process.argv.slice(2);
const work = JSON.parse(json!) as PatchWork;
const data = dataOf(work);
const before = status('VmRSS');

const start = process.hrtime.bigint();
const run = await (name === 'onnxruntime-node' ? onnx(work, data) : product(work, data));
const loaded = process.hrtime.bigint();
await run();
const called = process.hrtime.bigint();
for (let i = 0; i < 4; i++) await run();

const report: OnceReport = {
  load: Number(loaded - start),
  firstCall: Number(called - loaded),
  peakBytes: status('VmHWM') - before,
};
process.stdout.write(JSON.stringify(report));
