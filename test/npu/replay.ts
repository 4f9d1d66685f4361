import {
  AdaLayerNormSingle,
  CombinedTimestepSizeEmbeddings,
  TimestepEmbedding,
  type FloatDType,
  type Tensor,
} from '../../lib/index.js';
import * as reference from '../reference/layers.js';
import { randomWeights } from '../support/layers.js';
import { uniform } from '../support/random.js';
import { hostBits, tensorOf } from '../support/tensors.js';
import { twin } from '../support/twin.js';

// The layers with parts that are captured and replayed, and what the tests of replays count.

const combined = { embeddingDim: 48, sizeEmbDim: 16, useAdditionalConditions: true };

export interface Subject {
  /** Runs the forward with the i-th input, of `batch` samples. */
  forward(i: number, batch?: number): Promise<Tensor[]>;
  /** Loads the random weights of another seed. */
  load(seed: string): void;
  dispose(): void;
}

export type Make = (dtype: FloatDType, device?: string) => Subject;

function weights(parameters: [string, number[]][], dtype: FloatDType, seed: string) {
  const state = randomWeights(parameters, dtype);
  if (seed === '') return state;
  return Object.fromEntries(
    Object.entries(state).map(([name, { shape, size }]) => [
      name,
      tensorOf(dtype, shape, uniform(`${seed} ${name}`, size)),
    ]),
  );
}

function conditions(i: number, batch: number) {
  const each = (of: (b: number) => number) => Array.from({ length: batch }, (_, b) => of(b));
  return {
    timestep: each((b) => 999 - 7 * i - b),
    resolution: tensorOf('float32', [batch, 2], [...each(() => 512 + i), ...each((b) => 64 * b)]),
    aspectRatio: tensorOf(
      'float32',
      [batch, 1],
      each((b) => 1 / (1 + b + i)),
    ),
  };
}

export const subjects: Record<string, Make> = {
  TimestepEmbedding: (dtype, device = 'npu:0') => {
    const layer = new TimestepEmbedding({ inChannels: 32, timeEmbedDim: 48, device, dtype });
    const load = (seed: string) =>
      layer.loadStateDict(weights(reference.mlpParameters('', 32, 48, 48), dtype, seed));
    load('');
    return {
      ...{ load, dispose: () => layer.dispose() },
      forward: async (i, batch = 2) => [
        await layer.forward(tensorOf(dtype, [batch, 32], uniform(`sample ${i}`, batch * 32))),
      ],
    };
  },
  'Combined without sizes': (dtype, device = 'npu:0') => {
    const options = { ...combined, useAdditionalConditions: false };
    const layer = new CombinedTimestepSizeEmbeddings({ ...options, device, dtype });
    const load = (seed: string) =>
      layer.loadStateDict(weights(reference.combinedParameters('', options), dtype, seed));
    load('');
    return {
      ...{ load, dispose: () => layer.dispose() },
      forward: async (i, batch = 2) => [
        await layer.forward({ timestep: conditions(i, batch).timestep }),
      ],
    };
  },
  'Combined with sizes': (dtype, device = 'npu:0') => {
    const layer = new CombinedTimestepSizeEmbeddings({ ...combined, device, dtype });
    const load = (seed: string) =>
      layer.loadStateDict(weights(reference.combinedParameters('', combined), dtype, seed));
    load('');
    return {
      ...{ load, dispose: () => layer.dispose() },
      forward: async (i, batch = 2) => [await layer.forward(conditions(i, batch))],
    };
  },
  AdaLayerNormSingle: (dtype, device = 'npu:0') => {
    const options = { embeddingDim: 48, useAdditionalConditions: true };
    const layer = new AdaLayerNormSingle({ ...options, device, dtype });
    const parameters: [string, number[]][] = [
      ...reference.combinedParameters('emb.', combined),
      ['linear.weight', [288, 48]],
      ['linear.bias', [288]],
    ];
    const load = (seed: string) => layer.loadStateDict(weights(parameters, dtype, seed));
    load('');
    return {
      ...{ load, dispose: () => layer.dispose() },
      forward: async (i, batch = 2) => {
        const { modulation, embeddedTimestep } = await layer.forward(conditions(i, batch));
        return [modulation, embeddedTimestep];
      },
    };
  },
};

export async function bitsOf(results: Tensor[]): Promise<string> {
  const bits: string[] = [];
  for (const result of results) {
    bits.push(Buffer.from(await hostBits(result)).toString('base64'));
    result.dispose();
  }
  return bits.join();
}

/** The result of the i-th input from launches: the first forward of a new layer. */
export async function launched(make: Make, dtype: FloatDType, i: number, batch = 2, seed = '') {
  const subject = make(dtype);
  if (seed !== '') subject.load(seed);
  const bits = await bitsOf(await subject.forward(i, batch));
  subject.dispose();
  return bits;
}

export function replays(): number {
  return twin().counters().launchesByName.aclmdlRIExecuteAsync ?? 0;
}

export function graphs(): number {
  return twin().counters().liveHandles.graph!;
}

/** Runs a forward so often that it is captured and then replayed. */
export async function settle(subject: Subject, batch = 2): Promise<void> {
  for (let i = 0; i < 3; i++) await bitsOf(await subject.forward(i, batch));
}

export const combined16 = () => subjects['Combined with sizes']!('float16');
