import {
  AdaLayerNormSingle,
  CaptionProjection,
  CombinedTimestepSizeEmbeddings,
  PatchEmbed,
  Tensor,
  TimestepEmbedding,
  type FloatDType,
} from '../../lib/index.js';
import * as reference from '../reference/layers.js';
import { patchEmbedParameters } from '../reference/patch-embed.js';
import { sizeOf } from '../reference/array.js';
import { uniform } from './random.js';
import { tensorOf } from './tensors.js';

// Small layers with weights, for tests of how they are called.

/** Not the default 'auto', which emits a warning if it uses the CPU. */
const device = 'cpu';

/** Makes random weights for these parameters. */
export function randomWeights(
  parameters: [string, number[]][],
  dtype: FloatDType = 'float32',
): Record<string, Tensor> {
  return Object.fromEntries(
    parameters.map(([name, shape]) => [
      name,
      tensorOf(dtype, shape, uniform(name, sizeOf(shape), 0.3)),
    ]),
  );
}

export function patchEmbedWeights(
  options: object,
  dtype: FloatDType = 'float32',
): Record<string, Tensor> {
  return randomWeights(patchEmbedParameters(options), dtype);
}

export const smallPatch = { height: 8, width: 8, patchSize: 2, inChannels: 4, embedDim: 16 };

/** PatchEmbed from [B,4,H,W] to [B,N,16]. */
export function smallPatchEmbed(dtype: FloatDType = 'float32'): PatchEmbed {
  const layer = new PatchEmbed({ ...smallPatch, device, dtype });
  layer.loadStateDict(patchEmbedWeights(smallPatch, dtype));
  return layer;
}

/** CaptionProjection from [… ,8] to [… ,12]. */
export function smallCaption(dtype: FloatDType = 'float32'): CaptionProjection {
  const layer = new CaptionProjection({ inFeatures: 8, hiddenSize: 12, device, dtype });
  layer.loadStateDict(randomWeights(reference.mlpParameters('', 8, 12, 12), dtype));
  return layer;
}

/** TimestepEmbedding from [N,8] to [N,12], with a condition of 5. */
export function smallTimestepEmbedding(): TimestepEmbedding {
  const layer = new TimestepEmbedding({
    inChannels: 8,
    timeEmbedDim: 12,
    condProjDim: 5,
    device,
  });
  layer.loadStateDict(
    randomWeights([...reference.mlpParameters('', 8, 12, 12), ['cond_proj.weight', [8, 5]]]),
  );
  return layer;
}

export function smallCombined(useAdditionalConditions = true): CombinedTimestepSizeEmbeddings {
  const options = { embeddingDim: 24, sizeEmbDim: 8, useAdditionalConditions };
  const layer = new CombinedTimestepSizeEmbeddings({ ...options, device });
  layer.loadStateDict(randomWeights(reference.combinedParameters('', options)));
  return layer;
}

export function smallAdaLayerNorm(): AdaLayerNormSingle {
  const layer = new AdaLayerNormSingle({ embeddingDim: 24, device });
  layer.loadStateDict(
    randomWeights([
      ...reference.combinedParameters('emb.', { embeddingDim: 24, sizeEmbDim: 8 }),
      ['linear.weight', [144, 24]],
      ['linear.bias', [144]],
    ]),
  );
  return layer;
}

/** A layer whose forward takes long enough to act during it: [32,4,64,64] → 151 MB. */
export function largePatchEmbed(): {
  layer: PatchEmbed;
  latent: () => Tensor;
  tokens: [number, number, number];
} {
  const options = { height: 64, width: 64, patchSize: 2, inChannels: 4, embedDim: 1152 };
  const layer = new PatchEmbed({ ...options, device });
  layer.loadStateDict(patchEmbedWeights(options));
  const values = Float32Array.from(uniform('latent', 32 * 4 * 64 * 64));
  return {
    layer,
    latent: () => new Tensor('float32', values.slice(), [32, 4, 64, 64]),
    tokens: [32, 1024, 1152],
  };
}

/** A tensor of random values over a caller's own array. */
export function random(shape: number[], dtype: FloatDType = 'float32'): Tensor {
  return tensorOf(dtype, shape, uniform(String(shape), sizeOf(shape)));
}

/** A tensor of random values in the library's own memory. */
export function owned(shape: number[]): Tensor {
  const tensor = Tensor.zeros(shape);
  (tensor.data as Float32Array).set(uniform(String(shape), sizeOf(shape)));
  return tensor;
}
