import * as latte from '../../lib/index.js';
import type { DType, Tensor } from '../../lib/index.js';
import { converted, stored, type Approx } from '../reference/array.js';
import * as reference from '../reference/family.js';
import type { Weights } from '../reference/layers.js';
import type { Float } from '../reference/rounding.js';
import type { AnyLayer, Inputs, Operation, Options } from './operation.js';
import { familyParameters } from './parameters-family.js';

const floats: readonly DType[] = ['float32', 'float16', 'bfloat16'];

/** Options of a case that belong to its forward, not to its layer. */
const perForward = ['hiddenDtype', 'timestepSeqLen'];

interface Family {
  parameters: (options: Options) => reference.Parameters;
  /** Inputs by position, or in one object with the forward's options. */
  arguments: 'positions' | 'names';
  expected: (options: Options, weights: Weights, inputs: Inputs<Approx>, dtype: Float) => Approx[];
}

/** The operation of a layer whose class and inputs have the same names here and in the reference. */
function operation(
  Class: new (options: never) => { [key: string]: unknown } | object,
  { parameters, arguments: style, expected }: Family,
): Operation {
  type Called = Record<'forward' | 'forwardSync', (...inputs: unknown[]) => unknown>;
  const argumentsOf = (inputs: Inputs<Tensor>, options: Options): unknown[] => {
    if (style === 'positions') return Object.values(inputs);
    const own = Object.entries(options).filter(([name]) => perForward.includes(name));
    return [{ ...inputs, ...Object.fromEntries(own) }];
  };
  const tensorsOf = (result: unknown): Tensor[] =>
    result instanceof latte.Tensor
      ? [result]
      : Object.values(result as Record<string, Tensor | null>).filter((each) => each !== null);
  return {
    dtypes: floats,
    layer: {
      parameters,
      make: (options, device, dtype) => {
        const own = Object.entries(options).filter(([name]) => !perForward.includes(name));
        return new Class({ ...Object.fromEntries(own), device, dtype } as never) as AnyLayer;
      },
      forward: async (layer, inputs, options) =>
        tensorsOf(await (layer as unknown as Called).forward(...argumentsOf(inputs, options))),
      forwardSync: (layer, inputs, options) =>
        tensorsOf((layer as unknown as Called).forwardSync(...argumentsOf(inputs, options))),
    },
    expected,
  };
}

const hiddenOf = (options: Options, dtype: Float): Float =>
  (options as { hiddenDtype?: Float }).hiddenDtype ?? dtype;

export const familyOperations = {
  get3dSincosPosEmbed: {
    dtypes: ['float64', 'float32'],
    call: ({ embedDim, spatialSize, temporalSize, ...options }, _, dtype) =>
      latte.get3dSincosPosEmbed(embedDim!, spatialSize!, temporalSize!, {
        ...options,
        dtype: dtype as 'float32',
      }),
    expected: (given, _, __, dtype) => {
      const o = given as unknown as Record<string, number> & { spatialSize: [number, number] };
      const table = reference.sincos3d(
        o.embedDim!,
        o.spatialSize,
        o.temporalSize!,
        o.spatialInterpolationScale,
        o.temporalInterpolationScale,
      );
      const result = dtype === 'float32' ? stored(table, dtype) : table;
      // The sines of another platform may differ in their last digits.
      return [{ ...result, bound: result.bound.map((bound) => bound + 1e-12) }];
    },
  },
  Linear: operation(latte.Linear, {
    parameters: familyParameters.Linear,
    arguments: 'positions',
    expected: (_, weights, { input }, dtype) => [
      reference.project(converted(input!, dtype), weights, '', dtype),
    ],
  }),
  PixArtAlphaTextProjection: operation(latte.PixArtAlphaTextProjection, {
    parameters: familyParameters.PixArtAlphaTextProjection,
    arguments: 'positions',
    expected: ({ actFn }, weights, { caption }, dtype) => {
      const act = actFn === undefined || actFn === 'gelu_tanh' ? 'gelu-tanh' : 'silu';
      return [reference.mlp(converted(caption!, dtype), weights, '', act, dtype)];
    },
  }),
  CombinedTimestepTextProjEmbeddings: operation(latte.CombinedTimestepTextProjEmbeddings, {
    parameters: familyParameters.CombinedTimestepTextProjEmbeddings,
    arguments: 'names',
    expected: (_, weights, inputs, dtype) => [
      reference.combinedText(weights, inputs as never, dtype),
    ],
  }),
  CombinedTimestepGuidanceTextProjEmbeddings: operation(
    latte.CombinedTimestepGuidanceTextProjEmbeddings,
    {
      parameters: familyParameters.CombinedTimestepGuidanceTextProjEmbeddings,
      arguments: 'names',
      expected: (_, weights, inputs, dtype) => [
        reference.combinedText(weights, inputs as never, dtype),
      ],
    },
  ),
  SanaCombinedTimestepGuidanceEmbeddings: operation(latte.SanaCombinedTimestepGuidanceEmbeddings, {
    parameters: familyParameters.SanaCombinedTimestepGuidanceEmbeddings,
    arguments: 'names',
    expected: (options, weights, inputs, dtype) =>
      reference.sana(weights, inputs as never, dtype, hiddenOf(options, dtype)),
  }),
  QwenTimestepProjEmbeddings: operation(latte.QwenTimestepProjEmbeddings, {
    parameters: familyParameters.QwenTimestepProjEmbeddings,
    arguments: 'names',
    expected: (options, weights, inputs, dtype) => [
      reference.qwen(weights, inputs as never, dtype, hiddenOf(options, dtype)),
    ],
  }),
  WanTimeTextImageEmbedding: operation(latte.WanTimeTextImageEmbedding, {
    parameters: familyParameters.WanTimeTextImageEmbedding,
    arguments: 'names',
    expected: (options, weights, inputs, dtype) =>
      reference.wan(options as never, weights, inputs as never, dtype),
  }),
  PatchEmbed3d: operation(latte.PatchEmbed3d, {
    parameters: familyParameters.PatchEmbed3d,
    arguments: 'positions',
    expected: (options, weights, { latent }, dtype) => [
      reference.patchEmbed3d(options as never, weights, latent!, dtype),
    ],
  }),
  CogVideoXPatchEmbed: operation(latte.CogVideoXPatchEmbed, {
    parameters: familyParameters.CogVideoXPatchEmbed,
    arguments: 'positions',
    expected: (options, weights, inputs, dtype) => [
      reference.cogVideoXPatchEmbed(options as never, weights, inputs as never, dtype),
    ],
  }),
} satisfies Record<string, Operation>;
