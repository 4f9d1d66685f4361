import * as ort from 'onnxruntime-node';
import { sizeOf, type Data } from '../data.js';
import { runModels } from '../peers/onnx-layers.js';
import { onnxSession } from '../peers/onnxruntime.js';
import { timestepsOf, type ConditioningWork } from '../work.js';
import { timed } from './timed.js';
import type { Session } from './types.js';

type Tensors = Record<string, ort.Tensor>;

function given(outputs: Record<string, number[]>): Tensors {
  return Object.fromEntries(
    Object.entries(outputs).map(([name, shape]) => [
      name,
      new ort.Tensor('float32', new Float32Array(sizeOf(shape)), shape),
    ]),
  );
}

/**
 * The same split as the product's: a graph that runs once a prompt, with all timesteps in one pass, and one
 * for the latent of a step. Each session keeps its outputs and uses them again.
 */
export async function onnxSessions(
  work: ConditioningWork,
  data: Data,
  count: number,
  threads: number,
): Promise<Session[]> {
  const [once, step] = runModels(work, data);
  const onceSession = await onnxSession(once, threads);
  const stepSession = await onnxSession(step, threads);
  const tensor = (name: string): ort.Tensor => {
    const { data: values, shape } = data.inputs[name]!;
    return new ort.Tensor('float32', values, shape);
  };
  const timesteps = timestepsOf(work);
  const onceFeeds = {
    caption: tensor('caption'),
    timestep: new ort.Tensor('float32', Float32Array.from(timesteps), [timesteps.length]),
  };
  const stepFeeds = { latent: tensor('latent') };
  return Array.from({ length: count }, (): Session => {
    const outputs = given(step.outputs);
    const prepared = given(once.outputs);
    return {
      async prompt(steps) {
        const [prepare] = await timed(() => onceSession.run(onceFeeds, prepared));
        const times: number[] = [];
        for (let i = 0; i < steps; i++) {
          times.push((await timed(() => stepSession.run(stepFeeds, outputs)))[0]);
        }
        return { prepare, steps: times };
      },
      sample: () => Float32Array.from((outputs.tokens!.data as Float32Array).subarray(0, 4096)),
    };
  });
}
