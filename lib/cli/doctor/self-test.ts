import type { LayerKind } from '../../checkpoint/layer-kind.js';
import type { AnyLayer, DType, FloatDType, Tensor } from '../../index.js';
import { resultsOf } from '../layer-results.js';
import { randomNormal } from '../random.js';

// Runs one small layer of each class on a device and on the CPU, with the same weights and inputs.

type Library = typeof import('../../index.js');

/** The result of one layer in one dtype on one device. */
export interface SelfTest {
  device: string;
  layer: string;
  dtype: FloatDType;
  /** passed, failed (wrong or an error), or refused: the chip does not compute in this dtype. */
  outcome: 'passed' | 'failed' | 'refused';
  /** The largest |device − cpu| / max(1, |cpu|) of all results; undefined after an error. */
  largestError?: number;
  /** The largest `largestError` that passes. */
  allowed: number;
  /** The message of the error. */
  error?: string;
}

/**
 * The error that rounding may cause in a layer of up to four matrix products, whose results are about
 * 1. It is 16 units in the last place of the dtype, and 128 for float32, because devices add in another
 * order.
 */
const allowed: Readonly<Record<FloatDType, number>> = {
  float32: 128 * 2 ** -23,
  float16: 16 * 2 ** -11,
  bfloat16: 16 * 2 ** -8,
};

export const dtypes: readonly FloatDType[] = ['float32', 'float16', 'bfloat16'];

interface Made {
  forward(): Promise<Tensor[]>;
  dispose(): void;
}

/** Normal values, divided by √fanIn so that sums of `fanIn` products are about 1. */
function values(name: string, shape: readonly number[], fanIn = 1): Float32Array {
  const count = shape.reduce((product, length) => product * length, 1);
  return randomNormal(count, 0, `doctor ${name}`).map((value) => value / Math.sqrt(fanIn));
}

type Make = (device: string, dtype: FloatDType) => Made;

/** The layers of models, and those that only programs make. */
type TestedLayer = LayerKind | 'CombinedTimestepSizeEmbeddings' | 'Timesteps';

function makers(library: Library): Record<TestedLayer, Make> {
  const tensor = (name: string, shape: number[], dtype: DType, fanIn?: number): Tensor =>
    new library.Tensor(dtype, Array.from(values(name, shape, fanIn)), shape);
  /** Makes the test of a class. @param inputs makes the arguments of the layer's forward. */
  const layerTest =
    (
      Class: new (options: never) => AnyLayer,
      options: object,
      inputs: (dtype: FloatDType) => unknown[],
    ): Make =>
    (device, dtype) => {
      const layer = new Class({ ...options, device, dtype } as never);
      const weights = new Map<string, Tensor>();
      for (const { name, shape, required } of layer.parameters()) {
        if (!required) continue;
        const fanIn = shape.slice(1).reduce((product, length) => product * length, 1);
        weights.set(name, tensor(name, shape, dtype, fanIn));
      }
      layer.loadStateDict(weights);
      return {
        forward: async () => resultsOf(await layer.forward(...inputs(dtype))),
        dispose: () => layer.dispose(),
      };
    };
  const steps = { timestep: [999, 3.5] };
  const sizes = {
    ...steps,
    resolution: new library.Tensor('float32', [512, 512, 256, 1024], [2, 2]),
    aspectRatio: new library.Tensor('float32', [1, 0.25], [2, 1]),
  };
  const text = { embeddingDim: 48, pooledProjectionDim: 32 };
  const pooled = (dtype: FloatDType): object => ({
    ...steps,
    pooledProjection: tensor('pooled', [2, 32], dtype),
  });
  return {
    Linear: layerTest(library.Linear, { inFeatures: 96, outFeatures: 40 }, (dtype) => [
      tensor('input', [3, 96], dtype),
    ]),
    PixArtAlphaTextProjection: layerTest(
      library.PixArtAlphaTextProjection,
      { inFeatures: 96, hiddenSize: 64, outFeatures: 40 },
      (dtype) => [tensor('caption', [2, 7, 96], dtype)],
    ),
    PatchEmbed3d: layerTest(
      library.PatchEmbed3d,
      { patchSize: [1, 2, 2], inChannels: 4, embedDim: 72 },
      (dtype) => [tensor('video', [1, 4, 3, 8, 8], dtype)],
    ),
    CogVideoXPatchEmbed: layerTest(
      library.CogVideoXPatchEmbed,
      {
        ...{ inChannels: 4, embedDim: 64, textEmbedDim: 32, maxTextSeqLength: 5 },
        useLearnedPositionalEmbeddings: false,
      },
      (dtype) => [tensor('text', [1, 5, 32], dtype), tensor('video', [1, 3, 4, 8, 8], dtype)],
    ),
    CombinedTimestepTextProjEmbeddings: layerTest(
      library.CombinedTimestepTextProjEmbeddings,
      text,
      (dtype) => [pooled(dtype)],
    ),
    CombinedTimestepGuidanceTextProjEmbeddings: layerTest(
      library.CombinedTimestepGuidanceTextProjEmbeddings,
      text,
      (dtype) => [{ ...pooled(dtype), guidance: [3500] }],
    ),
    SanaCombinedTimestepGuidanceEmbeddings: layerTest(
      library.SanaCombinedTimestepGuidanceEmbeddings,
      { embeddingDim: 48 },
      () => [{ ...steps, guidance: [0.45, 1] }],
    ),
    QwenTimestepProjEmbeddings: layerTest(
      library.QwenTimestepProjEmbeddings,
      { embeddingDim: 48, useAdditionalTCond: true },
      () => [{ timestep: [1, 0.25], additionTCond: [0, 1] }],
    ),
    WanTimeTextImageEmbedding: layerTest(
      library.WanTimeTextImageEmbedding,
      { dim: 48, timeFreqDim: 256, timeProjDim: 96, textEmbedDim: 32, imageEmbedDim: 24 },
      (dtype) => [
        {
          ...steps,
          encoderHiddenStates: tensor('text', [2, 5, 32], dtype),
          encoderHiddenStatesImage: tensor('image', [1, 4, 24], dtype),
        },
      ],
    ),
    Timesteps: (device) => {
      const layer = new library.Timesteps({
        ...{ numChannels: 256, flipSinToCos: true, downscaleFreqShift: 0 },
        device,
      });
      return {
        forward: async () => [await layer.forward([0, 1, 499.5, 999])],
        dispose: () => layer.dispose(),
      };
    },
    TimestepEmbedding: layerTest(
      library.TimestepEmbedding,
      { inChannels: 256, timeEmbedDim: 64 },
      (dtype) => [tensor('sample', [3, 256], dtype)],
    ),
    PatchEmbed: layerTest(
      library.PatchEmbed,
      { height: 16, width: 16, patchSize: 2, inChannels: 4, embedDim: 72 },
      (dtype) => [tensor('latent', [2, 4, 16, 16], dtype)],
    ),
    CombinedTimestepSizeEmbeddings: layerTest(
      library.CombinedTimestepSizeEmbeddings,
      { embeddingDim: 48, sizeEmbDim: 16, useAdditionalConditions: true },
      () => [sizes],
    ),
    CaptionProjection: layerTest(
      library.CaptionProjection,
      { inFeatures: 96, hiddenSize: 64 },
      (dtype) => [tensor('caption', [2, 7, 96], dtype)],
    ),
    AdaLayerNormSingle: layerTest(
      library.AdaLayerNormSingle,
      { embeddingDim: 48, useAdditionalConditions: true },
      () => [sizes],
    ),
  };
}

/** Tests every layer in every dtype on a device, and calls `done` after each. Never throws. */
export async function selfTest(
  library: Library,
  device: string,
  done: (test: SelfTest) => void = () => undefined,
): Promise<SelfTest[]> {
  const tests: SelfTest[] = [];
  for (const [layer, make] of Object.entries(makers(library))) {
    // Timesteps has only float32.
    for (const dtype of layer === 'Timesteps' ? dtypes.slice(0, 1) : dtypes) {
      const test: SelfTest = {
        ...{ device, layer, dtype, allowed: allowed[dtype] },
        ...(await compare(library, make, device, dtype)),
      };
      tests.push(test);
      done(test);
    }
  }
  return tests;
}

async function compare(
  library: Library,
  make: (device: string, dtype: FloatDType) => Made,
  device: string,
  dtype: FloatDType,
): Promise<Pick<SelfTest, 'outcome' | 'largestError' | 'error'>> {
  try {
    const expected = await hostResults(make('cpu', dtype));
    const results = device === 'cpu' ? expected : await hostResults(make(device, dtype));
    const largestError = Math.max(...results.map((result, i) => distance(result, expected[i]!)));
    // `<=` and not `!(… >)`, so that NaN fails.
    return { outcome: largestError <= allowed[dtype] ? 'passed' : 'failed', largestError };
  } catch (error) {
    const { code, message } = error as { code?: unknown; message: string };
    const refused = code === 'ERR_DTYPE' && error instanceof library.LatteError;
    return { outcome: refused ? 'refused' : 'failed', error: message };
  }
}

/** Runs one forward, and returns its results on the host. */
async function hostResults(made: Made): Promise<Float32Array[]> {
  try {
    const hosted: Float32Array[] = [];
    for (const result of await made.forward()) {
      const host = await result.to('cpu');
      result.dispose();
      hosted.push(host.toFloat32Array());
      host.dispose();
    }
    return hosted;
  } finally {
    made.dispose();
  }
}

/** The largest |a − b| / max(1, |b|); NaN if a or b has a NaN, or if their lengths differ. */
function distance(a: Float32Array, b: Float32Array): number {
  if (a.length !== b.length) return NaN;
  return a.reduce(
    (largest, value, i) =>
      Math.max(largest, Math.abs(value - b[i]!) / Math.max(1, Math.abs(b[i]!))),
    0,
  );
}
