import * as latte from '../../lib/index.js';
import type { DType, Tensor } from '../../lib/index.js';
import { converted, stored, type Approx } from '../reference/array.js';
import * as reference from '../reference/layers.js';
import { patchEmbed, patchEmbedParameters } from '../reference/patch-embed.js';
import type { Float } from '../reference/rounding.js';
import * as sincos from '../reference/sincos.js';
import { tableDtype } from '../support/devices.js';
import { timestepEmbedding } from '../reference/timesteps.js';
import { familyOperations } from './operations-family.js';
import type { Inputs, Operation, Options } from './operation.js';

const tables: readonly DType[] = ['float64', 'float32'];
const floats: readonly DType[] = ['float32', 'float16', 'bfloat16'];

/**
 * Adds to the bounds that sines of another platform may differ in their last digits, as the golden data
 * does.
 */
function table(values: Approx, dtype: Float): Approx[] {
  const result = dtype === 'float32' ? stored(values, dtype) : values;
  return [{ ...result, bound: result.bound.map((bound) => bound + 1e-12) }];
}

/** The options that Combined and AdaLayerNormSingle take at each forward. */
function perForward(inputs: Inputs<Tensor>, options: Options): latte.ConditionInputs {
  const { batchSize, hiddenDtype } = options as { batchSize?: number; hiddenDtype?: never };
  return { ...(inputs as unknown as latte.ConditionInputs), batchSize, hiddenDtype };
}

function combinedInput(inputs: Inputs<Approx>, options: Options): reference.CombinedInput {
  const { batchSize, hiddenDtype } = options as { batchSize?: number; hiddenDtype?: Float };
  return { ...(inputs as unknown as reference.CombinedInput), batchSize, hiddenDtype };
}

export const operations = {
  get1dSincosPosEmbed: {
    dtypes: tables,
    call: ({ embedDim, length, ...options }, _, dtype) =>
      latte.get1dSincosPosEmbed(embedDim!, length!, { ...options, dtype: dtype as 'float32' }),
    expected: ({ embedDim, length, interpolationScale }, _, __, dtype) =>
      table(sincos.sincos1d(embedDim!, length!, interpolationScale), dtype),
  },
  get1dSincosPosEmbedFromGrid: {
    dtypes: tables,
    call: ({ embedDim }, { pos }, dtype) =>
      latte.get1dSincosPosEmbedFromGrid(embedDim!, pos!, { dtype: dtype as 'float32' }),
    expected: ({ embedDim }, _, { pos }, dtype) =>
      table(sincos.sincosFromGrid(embedDim!, pos!.value), dtype),
  },
  get2dSincosPosEmbed: {
    dtypes: tables,
    call: ({ embedDim, gridSize, ...options }, _, dtype) =>
      latte.get2dSincosPosEmbed(embedDim!, gridSize!, { ...options, dtype: dtype as 'float32' }),
    expected: ({ embedDim, gridSize, ...options }, _, __, dtype) =>
      table(sincos.sincos2d(embedDim!, gridSize!, options), dtype),
  },
  get2dSincosPosEmbedFromGrid: {
    dtypes: tables,
    call: ({ embedDim }, { grid }, dtype) =>
      latte.get2dSincosPosEmbedFromGrid(embedDim!, grid!, { dtype: dtype as 'float32' }),
    expected: ({ embedDim }, _, { grid }, dtype) =>
      table(sincos.sincos2dFromGrid(embedDim!, grid!.value), dtype),
  },
  getTimestepEmbedding: {
    dtypes: ['float32'],
    call: ({ embeddingDim, ...options }, { timesteps }) =>
      latte.getTimestepEmbedding(timesteps!, embeddingDim!, options),
    expected: ({ embeddingDim, ...options }, _, { timesteps }) => [
      timestepEmbedding(timesteps!.value, embeddingDim!, options),
    ],
  },
  Timesteps: {
    dtypes: ['float32'],
    layer: {
      parameters: () => [],
      make: (options, device) =>
        new latte.Timesteps({ ...(options as unknown as latte.TimestepsOptions), device }),
      forward: async (layer, { timesteps }) => [
        await (layer as latte.Timesteps).forward(timesteps!),
      ],
      forwardSync: (layer, { timesteps }) => [(layer as latte.Timesteps).forwardSync(timesteps!)],
    },
    expected: ({ numChannels, ...options }, _, { timesteps }) => [
      timestepEmbedding(timesteps!.value, numChannels!, options),
    ],
  },
  TimestepEmbedding: {
    dtypes: floats,
    layer: {
      parameters: (given) => {
        const options = given as unknown as reference.TimestepEmbeddingOptions;
        const { inChannels, timeEmbedDim, outDim, condProjDim, sampleProjBias } = options;
        const names = reference.mlpParameters(
          '',
          inChannels,
          timeEmbedDim,
          outDim ?? timeEmbedDim,
          sampleProjBias,
        );
        if (condProjDim !== undefined) names.push(['cond_proj.weight', [inChannels, condProjDim]]);
        return names;
      },
      make: (options, device, dtype) =>
        new latte.TimestepEmbedding({
          ...(options as unknown as latte.TimestepEmbeddingOptions),
          device,
          dtype: dtype as 'float32',
        }),
      forward: async (layer, { sample, condition }) => [
        await (layer as latte.TimestepEmbedding).forward(sample!, condition),
      ],
      forwardSync: (layer, { sample, condition }) => [
        (layer as latte.TimestepEmbedding).forwardSync(sample!, condition),
      ],
    },
    expected: (options, weights, { sample, condition }, dtype) => [
      reference.timestepMlp(
        options,
        weights,
        converted(sample!, dtype),
        condition && converted(condition, dtype),
        dtype,
      ),
    ],
  },
  PatchEmbed: {
    dtypes: floats,
    layer: {
      parameters: (options) => patchEmbedParameters(options),
      make: (options, device, dtype) =>
        new latte.PatchEmbed({ ...options, device, dtype: dtype as 'float32' }),
      forward: async (layer, { latent }) => [await (layer as latte.PatchEmbed).forward(latent!)],
      forwardSync: (layer, { latent }) => [(layer as latte.PatchEmbed).forwardSync(latent!)],
    },
    expected: (options, weights, { latent }, dtype, device) => [
      patchEmbed(options, weights, latent!, dtype, undefined, tableDtype(device, dtype)),
    ],
  },
  CombinedTimestepSizeEmbeddings: {
    dtypes: floats,
    layer: {
      parameters: (options) =>
        reference.combinedParameters('', options as unknown as reference.CombinedOptions),
      make: ({ batchSize: _, hiddenDtype: __, ...options }, device, dtype) =>
        new latte.CombinedTimestepSizeEmbeddings({
          ...(options as unknown as latte.CombinedTimestepSizeEmbeddingsOptions),
          device,
          dtype: dtype as 'float32',
        }),
      forward: async (layer, inputs, options) => [
        await (layer as latte.CombinedTimestepSizeEmbeddings).forward(perForward(inputs, options)),
      ],
      forwardSync: (layer, inputs, options) => [
        (layer as latte.CombinedTimestepSizeEmbeddings).forwardSync(perForward(inputs, options)),
      ],
    },
    expected: (options, weights, inputs, dtype) => [
      reference.combined(
        options as unknown as reference.CombinedOptions,
        weights,
        combinedInput(inputs, options),
        dtype,
      ),
    ],
  },
  CaptionProjection: {
    dtypes: floats,
    layer: {
      parameters: ({ inFeatures, hiddenSize }) =>
        reference.mlpParameters('', inFeatures!, hiddenSize!, hiddenSize!),
      make: (options, device, dtype) =>
        new latte.CaptionProjection({
          ...(options as unknown as latte.CaptionProjectionOptions),
          device,
          dtype: dtype as 'float32',
        }),
      forward: async (layer, { caption, forceDropIds }) => [
        await (layer as latte.CaptionProjection).forward(caption!, forceDropIds),
      ],
      forwardSync: (layer, { caption, forceDropIds }) => [
        (layer as latte.CaptionProjection).forwardSync(caption!, forceDropIds),
      ],
    },
    expected: (_, weights, { caption }, dtype) => [
      reference.captionProjection(weights, caption!, dtype),
    ],
  },
  AdaLayerNormSingle: {
    dtypes: floats,
    layer: {
      parameters: (given) => {
        const options = given as unknown as {
          embeddingDim: number;
          useAdditionalConditions?: boolean;
          numModParams?: number;
        };
        const { embeddingDim, numModParams = 6 } = options;
        return [
          ...reference.combinedParameters('emb.', {
            ...options,
            sizeEmbDim: Math.floor(embeddingDim / 3),
          }),
          ['linear.weight', [numModParams * embeddingDim, embeddingDim]],
          ['linear.bias', [numModParams * embeddingDim]],
        ];
      },
      make: ({ batchSize: _, hiddenDtype: __, ...options }, device, dtype) =>
        new latte.AdaLayerNormSingle({
          ...(options as unknown as latte.AdaLayerNormSingleOptions),
          device,
          dtype: dtype as 'float32',
        }),
      forward: async (layer, inputs, options) => {
        const result = await (layer as latte.AdaLayerNormSingle).forward(
          perForward(inputs, options),
        );
        return [result.modulation, result.embeddedTimestep];
      },
      forwardSync: (layer, inputs, options) => {
        const result = (layer as latte.AdaLayerNormSingle).forwardSync(perForward(inputs, options));
        return [result.modulation, result.embeddedTimestep];
      },
    },
    expected: (options, weights, inputs, dtype) => {
      const result = reference.adaLayerNormSingle(
        options as unknown as { embeddingDim: number },
        weights,
        combinedInput(inputs, options),
        dtype,
      );
      return [result.modulation, result.embeddedTimestep];
    },
  },
  ...familyOperations,
} satisfies Record<string, Operation> & Record<latte.LayerKind, Operation>;

export type OperationName = keyof typeof operations;
