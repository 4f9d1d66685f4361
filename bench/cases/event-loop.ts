import { onnxFeeds, onnxName, onnxSession } from '../peers/onnxruntime.js';
import { modelsOf } from '../peers/onnx-layers.js';
import { productName, Tensor } from '../product.js';
import type { Case, Runner } from '../types.js';
import { dataOf, outputShape, type PatchWork } from '../work.js';
import { loadLayer } from './layers.js';

/** The longest time between two turns of the event loop, in nanoseconds, while `work` runs. */
async function longestTurn(work: () => Promise<unknown>): Promise<number> {
  let longest = 0;
  let running = true;
  let last = process.hrtime.bigint();
  const turn = (): void => {
    const now = process.hrtime.bigint();
    longest = Math.max(longest, Number(now - last));
    last = now;
    if (running) setImmediate(turn);
  };
  setImmediate(turn);
  await work();
  running = false;
  await new Promise((resolve) => setImmediate(resolve));
  return longest;
}

async function repeated(count: number, work: () => Promise<unknown>): Promise<number[]> {
  const delays: number[] = [];
  for (let i = 0; i < count; i++) delays.push(await longestTurn(work));
  return delays;
}

export function eventLoopCase(work: PatchWork): Case {
  return {
    id: 'event-loop',
    title: 'Longest pause of the event loop during PatchEmbed [32, 4, 64, 64]',
    group: 'Event loop',
    unit: 'ns',
    note:
      'The library’s memory is used where it lies; an output that is an array of the caller’s is ' +
      'filled on the JavaScript thread at the end. The run() of onnxruntime-node computes on the ' +
      'JavaScript thread.',
    async runners({ threads, peers }) {
      const data = dataOf(work);
      const { layer, input } = await loadLayer(work, data, 'float32');
      const out = Tensor.zeros(outputShape(work), { device: 'cpu' });
      const shape = outputShape(work);
      const array = new Tensor('float32', new Float32Array(out.size), shape);
      const runners: Runner[] = [
        {
          side: 'product',
          name: productName,
          variant: 'forward into out',
          once: true,
          sample: (count) => repeated(count, () => layer.forward(input, { out })),
          close: () => layer.dispose(),
        },
        {
          side: 'product',
          name: productName,
          variant: 'forward into an array of the caller’s',
          once: true,
          sample: (count) => repeated(count, () => layer.forward(input, { out: array })),
        },
      ];
      if (peers) {
        const model = modelsOf(work, data).at(-1)!;
        const session = await onnxSession(model, threads);
        const feeds = onnxFeeds(data);
        runners.push({
          side: 'peer',
          name: onnxName,
          variant: 'run()',
          once: true,
          sample: (count) => repeated(count, () => session.run(feeds)),
          close: () => session.release(),
        });
      }
      return runners;
    },
  };
}
