import * as ort from 'onnxruntime-node';
import { clockedAsync } from '../measure.js';
import type { Runner } from '../types.js';
import { joined, sizeOf, type Data } from '../data.js';
import { type Work } from '../work.js';
import { modelsOf } from './onnx-layers.js';
import type { Model } from './onnx-parts.js';

export const onnxName = 'onnxruntime-node';

export function onnxSession(model: Model, threads: number): Promise<ort.InferenceSession> {
  return ort.InferenceSession.create(model.bytes, {
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    executionMode: 'sequential',
    graphOptimizationLevel: 'all',
  });
}

export function onnxFeeds(data: Data): Record<string, ort.Tensor> {
  return Object.fromEntries(
    Object.entries(data.inputs).map(([name, { data: values, shape }]) => [
      name,
      new ort.Tensor('float32', values, shape),
    ]),
  );
}

/** All variants: each graph, on one thread and on all, with new outputs or with given ones. */
export async function onnxRunners(work: Work, data: Data, threads: number): Promise<Runner[]> {
  const feeds = onnxFeeds(data);
  const runners: Runner[] = [];
  for (const model of modelsOf(work, data)) {
    for (const count of new Set([1, threads])) {
      const session = await onnxSession(model, count);
      // Two runners share a session; the second to be closed releases it.
      let users = 2;
      const close = async (): Promise<void> => {
        if (--users === 0) await session.release();
      };
      const given = Object.fromEntries(
        Object.entries(model.outputs).map(([name, shape]) => [
          name,
          new ort.Tensor('float32', new Float32Array(sizeOf(shape)), shape),
        ]),
      );
      for (const fetches of [undefined, given]) {
        const run = (): Promise<ort.InferenceSession.OnnxValueMapType> =>
          fetches === undefined ? session.run(feeds) : session.run(feeds, fetches);
        const where = fetches === undefined ? 'fresh output' : 'given output';
        runners.push({
          side: 'peer',
          name: onnxName,
          variant: `${model.variant}, ${count} thread${count === 1 ? '' : 's'}, ${where}`,
          sample: (calls) =>
            clockedAsync(calls, async () => {
              await run();
            }),
          result: async () => {
            const outputs = await run();
            return joined(
              Object.keys(model.outputs).map((name) => outputs[name]!.data as Float32Array),
            );
          },
          close,
        });
      }
    }
  }
  return runners;
}
