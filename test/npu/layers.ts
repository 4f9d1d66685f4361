import {
  AdaLayerNormSingle,
  CaptionProjection,
  CombinedTimestepSizeEmbeddings,
  PatchEmbed,
  Tensor,
  TimestepEmbedding,
  Timesteps,
  deviceDiagnostics,
  type FloatDType,
} from '../../lib/index.js';
import * as reference from '../reference/layers.js';
import { patchEmbedWeights, randomWeights } from '../support/layers.js';
import { uniform } from '../support/random.js';
import { tensorOf } from '../support/tensors.js';

// One small layer of each kind on an NPU, with inputs that stay on the host.

export interface Forward {
  name: string;
  dtype: FloatDType;
  forward(): Promise<Tensor[]>;
  dispose(): void;
}

const patch = { height: 8, width: 8, patchSize: 2, inChannels: 4, embedDim: 64 };
const combined = { embeddingDim: 48, sizeEmbDim: 16, useAdditionalConditions: true };

function conditions(): { timestep: number[]; resolution: Tensor; aspectRatio: Tensor } {
  return {
    timestep: [999, 3],
    resolution: new Tensor('float32', [512, 512, 256, 1024], [2, 2]),
    aspectRatio: new Tensor('float32', [1, 0.25], [2, 1]),
  };
}

/** The layers whose figures are in docs/ascend-operations.md. */
export const kinds: Record<string, (device: string, dtype: FloatDType) => Omit<Forward, 'name'>> = {
  PatchEmbed: (device, dtype) => patchEmbed(device, dtype, false),
  'PatchEmbed, layer norm': (device, dtype) => patchEmbed(device, dtype, true),
  Timesteps: (device) => {
    const layer = new Timesteps({
      numChannels: 256,
      flipSinToCos: true,
      downscaleFreqShift: 0,
      device,
    });
    return {
      dtype: 'float32',
      forward: async () => [await layer.forward([1, 50.5, 999])],
      dispose: () => layer.dispose(),
    };
  },
  TimestepEmbedding: (device, dtype) => {
    const layer = new TimestepEmbedding({ inChannels: 256, timeEmbedDim: 48, device, dtype });
    layer.loadStateDict(randomWeights(reference.mlpParameters('', 256, 48, 48), dtype));
    const sample = tensorOf(dtype, [2, 256], uniform('sample', 512));
    return {
      dtype,
      forward: async () => [await layer.forward(sample)],
      dispose: () => layer.dispose(),
    };
  },
  'CombinedTimestepSizeEmbeddings without sizes': (device, dtype) => {
    const options = { ...combined, useAdditionalConditions: false };
    const layer = new CombinedTimestepSizeEmbeddings({ ...options, device, dtype });
    layer.loadStateDict(randomWeights(reference.combinedParameters('', options), dtype));
    return {
      dtype,
      forward: async () => [await layer.forward({ timestep: [999, 3] })],
      dispose: () => layer.dispose(),
    };
  },
  CombinedTimestepSizeEmbeddings: (device, dtype) => {
    const layer = new CombinedTimestepSizeEmbeddings({ ...combined, device, dtype });
    layer.loadStateDict(randomWeights(reference.combinedParameters('', combined), dtype));
    return {
      dtype,
      forward: async () => [await layer.forward(conditions())],
      dispose: () => layer.dispose(),
    };
  },
  AdaLayerNormSingle: (device, dtype) => {
    const layer = new AdaLayerNormSingle({
      embeddingDim: 48,
      useAdditionalConditions: true,
      device,
      dtype,
    });
    layer.loadStateDict(
      randomWeights(
        [
          ...reference.combinedParameters('emb.', combined),
          ['linear.weight', [288, 48]],
          ['linear.bias', [288]],
        ],
        dtype,
      ),
    );
    return {
      dtype,
      forward: async () => {
        const { modulation, embeddedTimestep } = await layer.forward(conditions());
        return [modulation, embeddedTimestep];
      },
      dispose: () => layer.dispose(),
    };
  },
  CaptionProjection: (device, dtype) => {
    const layer = new CaptionProjection({ inFeatures: 32, hiddenSize: 48, device, dtype });
    layer.loadStateDict(randomWeights(reference.mlpParameters('', 32, 48, 48), dtype));
    const caption = tensorOf(dtype, [2, 5, 32], uniform('caption', 320));
    return {
      dtype,
      forward: async () => [await layer.forward(caption)],
      dispose: () => layer.dispose(),
    };
  },
};

function patchEmbed(device: string, dtype: FloatDType, layerNorm: boolean): Omit<Forward, 'name'> {
  const layer = new PatchEmbed({ ...patch, layerNorm, device, dtype });
  layer.loadStateDict(patchEmbedWeights(patch, dtype));
  const latent = tensorOf(dtype, [2, 4, 8, 8], uniform('latent', 512));
  return {
    dtype,
    forward: async () => [await layer.forward(latent)],
    dispose: () => layer.dispose(),
  };
}

export function makeForward(name: string, dtype: FloatDType, device = 'npu:0'): Forward {
  return { name, ...kinds[name]!(device, dtype) };
}

/** Copies a forward's results to the host; disposes of those on the device. */
export async function toHost(results: Tensor[]): Promise<Float32Array[]> {
  try {
    const values: Float32Array[] = [];
    for (const result of results) {
      const host = await result.to('cpu');
      values.push(host.toFloat32Array());
      host.dispose();
    }
    return values;
  } finally {
    for (const result of results) result.dispose();
  }
}

/**
 * Whether launches of the plugin's kernels on the open NPU allocate memory. The launch functions that CANN
 * 8.1 generates allocate a status at each launch, and do not check whether that succeeded.
 */
export function launchesAllocate(): boolean {
  return deviceDiagnostics().npu.kernelsRung?.includes('launch functions') ?? false;
}
