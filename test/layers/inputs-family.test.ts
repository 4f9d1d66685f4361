import { describe, expect, it } from 'vitest';
import * as latte from '../../lib/index.js';
import { Tensor } from '../../lib/index.js';
import { refused, rejected } from '../support/errors.js';
import { random, randomWeights } from '../support/layers.js';

// Replaces each argument of the family's layers by wrong values, one at a time.

type AnyLayer = latte.Linear;
interface Row {
  options: Record<string, unknown>;
  /** Inputs by position, or by name in one object. */
  inputs: Record<string, () => Tensor>;
  named?: boolean;
  /** Shapes that each input refuses. */
  shapes: Record<string, number[][]>;
  /** The inputs that take numbers of any dtype. */
  numbers?: string[];
}

const numbers = (...values: number[]): (() => Tensor) => {
  return () => new Tensor('float32', values, [values.length]);
};
const text = {
  options: { embeddingDim: 12, pooledProjectionDim: 8 },
  named: true,
  inputs: { timestep: numbers(9, 3), pooledProjection: () => random([2, 8]) },
  shapes: { timestep: [[], [2, 1], [3]], pooledProjection: [[], [8], [2, 7], [3, 8], [2, 1, 8]] },
  numbers: ['timestep'],
} satisfies Row;

/** The layers of inputs.test.ts. */
type TestedByInputs =
  'AdaLayerNormSingle' | 'CaptionProjection' | 'PatchEmbed' | 'TimestepEmbedding';

const rows: Record<string, Row> = {
  Linear: {
    options: { inFeatures: 8, outFeatures: 4 },
    inputs: { input: () => random([2, 8]) },
    shapes: { input: [[], [7], [8, 1], [0, 7]] },
  },
  PixArtAlphaTextProjection: {
    options: { inFeatures: 8, hiddenSize: 4 },
    inputs: { caption: () => random([1, 2, 8]) },
    shapes: { caption: [[], [1, 2, 7], [8, 1], [0, 7]] },
  },
  PatchEmbed3d: {
    options: { patchSize: [2, 2, 2], inChannels: 4, embedDim: 6 },
    inputs: { latent: () => random([1, 4, 2, 4, 4]) },
    shapes: {
      latent: [
        [],
        [4, 2, 4, 4],
        [1, 3, 2, 4, 4],
        [1, 4, 1, 4, 4],
        [1, 4, 2, 1, 4],
        [1, 4, 2, 4, 1],
      ],
    },
  },
  CogVideoXPatchEmbed: {
    options: { inChannels: 4, embedDim: 16, textEmbedDim: 8, maxTextSeqLength: 3 },
    inputs: { textEmbeds: () => random([1, 3, 8]), imageEmbeds: () => random([1, 1, 4, 60, 90]) },
    shapes: {
      textEmbeds: [[], [3, 8], [1, 3, 7], [2, 3, 8], [1, 4, 8]],
      imageEmbeds: [[], [1, 4, 60, 90], [1, 1, 3, 60, 90], [1, 1, 4, 1, 90], [1, 0, 4, 60, 90]],
    },
  },
  CombinedTimestepTextProjEmbeddings: text,
  CombinedTimestepGuidanceTextProjEmbeddings: {
    ...text,
    inputs: { ...text.inputs, guidance: numbers(1, 2) },
    shapes: { ...text.shapes, guidance: [[], [1, 2], [3]] },
    numbers: ['timestep', 'guidance'],
  },
  SanaCombinedTimestepGuidanceEmbeddings: {
    options: { embeddingDim: 12 },
    named: true,
    inputs: { timestep: numbers(9, 3), guidance: numbers(1, 2) },
    shapes: { timestep: [[], [2, 1], [3]], guidance: [[], [2, 1], [3]] },
    numbers: ['timestep', 'guidance'],
  },
  QwenTimestepProjEmbeddings: {
    options: { embeddingDim: 12, useAdditionalTCond: true },
    named: true,
    inputs: { timestep: numbers(1, 0.5), additionTCond: numbers(0, 1) },
    shapes: { timestep: [[], [2, 1], [3]], additionTCond: [[], [2, 1], [3]] },
    numbers: ['timestep', 'additionTCond'],
  },
  WanTimeTextImageEmbedding: {
    options: { dim: 12, timeFreqDim: 8, timeProjDim: 24, textEmbedDim: 8, imageEmbedDim: 6 },
    named: true,
    inputs: {
      timestep: numbers(9, 3),
      encoderHiddenStates: () => random([2, 3, 8]),
      encoderHiddenStatesImage: () => random([1, 2, 6]),
    },
    shapes: {
      timestep: [[], [2, 1]],
      encoderHiddenStates: [[], [2, 3, 7]],
      encoderHiddenStatesImage: [[], [2, 6], [1, 2, 5]],
    },
    numbers: ['timestep'],
  },
} satisfies Record<Exclude<latte.LayerKind, TestedByInputs>, Row>;

const noTensors = [5, '5', {}, Tensor, { dtype: 'float32', shape: [1] }];

describe.each(Object.entries(rows))('%s', (name, row) => {
  const Class = (latte as unknown as Record<string, new (options: object) => AnyLayer>)[name]!;
  const make = (): AnyLayer => {
    const layer = new Class({ ...row.options, device: 'cpu' });
    layer.loadStateDict(randomWeights(layer.parameters().map(({ name: n, shape }) => [n, shape])));
    return layer;
  };
  const argumentsOf = (spoilt: Record<string, unknown>, ...options: unknown[]): never[] => {
    const inputs = Object.entries(row.inputs).map(([n, input]) => [n, input()] as const);
    const given = { ...Object.fromEntries(inputs), ...spoilt };
    return [...(row.named === true ? [given] : Object.values(given)), ...options] as never[];
  };
  /** Expects the same refusal from forward, which must not throw, and from forwardSync. */
  const bothRefuse = async (
    layer: AnyLayer,
    given: never[],
    code: latte.LatteErrorCode,
    ...texts: string[]
  ): Promise<void> => {
    const { forward, forwardSync } = layer as unknown as Record<
      'forward' | 'forwardSync',
      (...args: unknown[]) => unknown
    >;
    refused(() => forwardSync.apply(layer, given), code, ...texts);
    let promise: unknown;
    expect(() => (promise = forward.apply(layer, given))).not.toThrow();
    await rejected(() => promise as Promise<unknown>, code, ...texts);
  };

  it.each(Object.keys(row.inputs))('%s', async (input) => {
    using layer = make();
    for (const value of noTensors) {
      await bothRefuse(layer, argumentsOf({ [input]: value }), 'ERR_VALUE', input);
    }
    for (const shape of row.shapes[input]!) {
      const spoilt = { [input]: Tensor.zeros(shape, { device: 'cpu' }) };
      const texts = shape.length === 1 && shape[0] === 3 ? [] : [input];
      await bothRefuse(layer, argumentsOf(spoilt), 'ERR_SHAPE', ...texts);
    }
    const disposed = row.inputs[input]!();
    disposed.dispose();
    await bothRefuse(layer, argumentsOf({ [input]: disposed }), 'ERR_DISPOSED', input);
    if (row.numbers?.includes(input) === true) return;
    const integers = Tensor.zeros(row.inputs[input]!().shape, { dtype: 'int32' });
    await bothRefuse(layer, argumentsOf({ [input]: integers }), 'ERR_DTYPE', input, 'int32');
  });

  it('options, weights and the layer itself', async () => {
    const layer = make();
    await bothRefuse(layer, argumentsOf({}, { output: 1 }), 'ERR_VALUE', 'output');
    await bothRefuse(layer, argumentsOf({}, { out: 5 }), 'ERR_VALUE', 'out');
    await bothRefuse(layer, argumentsOf({}, {}, {}), 'ERR_VALUE', 'forward(');
    if (row.named === true) {
      await bothRefuse(layer, argumentsOf({ time_step: 1 }), 'ERR_VALUE', 'time_step');
    }
    const empty = new Class({ ...row.options, device: 'cpu' });
    await bothRefuse(empty, argumentsOf({}), 'ERR_STATE', name);
    layer.dispose();
    await bothRefuse(layer, argumentsOf({}), 'ERR_DISPOSED', name);
  });
});
