import { clocked, clockedAsync } from '../measure.js';
import {
  CaptionProjection,
  PatchEmbedLayer,
  productName,
  Tensor,
  TimestepEmbedding,
  memoryUsage,
  type FloatDType,
  type TensorType,
} from '../product.js';
import type { Runner } from '../types.js';
import { type Data } from '../data.js';
import { outputShape, type CaptionWork, type PatchWork, type TimestepWork } from '../work.js';

export type LayerWork = PatchWork | CaptionWork | TimestepWork;

interface Options {
  out?: TensorType;
}

/** The common interface of the benchmark's three layers. */
interface Layer {
  forward(input: TensorType, options?: Options): Promise<TensorType>;
  forwardSync(input: TensorType, options?: Options): TensorType;
  loadStateDict(weights: Record<string, TensorType>): void;
  dispose(): void;
}

function makeLayer(work: LayerWork, dtype: FloatDType): Layer {
  const device = 'cpu';
  switch (work.layer) {
    case 'PatchEmbed':
      return new PatchEmbedLayer({
        height: work.height,
        width: work.width,
        patchSize: work.patch,
        inChannels: work.channels,
        embedDim: work.dim,
        layerNorm: work.layerNorm,
        device,
        dtype,
      });
    case 'CaptionProjection': {
      const layer = new CaptionProjection({
        inFeatures: work.inFeatures,
        hiddenSize: work.dim,
        device,
        dtype,
      });
      return {
        // Its second argument is a list of captions to drop, which has no effect.
        forward: (caption, options?: Options) => layer.forward(caption, undefined, options),
        forwardSync: (caption, options?: Options) => layer.forwardSync(caption, undefined, options),
        loadStateDict: (weights) => layer.loadStateDict(weights),
        dispose: () => layer.dispose(),
      };
    }
    case 'TimestepEmbedding': {
      const layer = new TimestepEmbedding({
        inChannels: work.inFeatures,
        timeEmbedDim: work.dim,
        device,
        dtype,
      });
      return {
        // Its second argument is a condition.
        forward: (sample, options?: Options) => layer.forward(sample, undefined, options),
        forwardSync: (sample, options?: Options) => layer.forwardSync(sample, undefined, options),
        loadStateDict: (weights) => layer.loadStateDict(weights),
        dispose: () => layer.dispose(),
      };
    }
  }
}

/** Returns a layer with its weights, and its input, in `dtype` and in the library's own memory. */
export async function loadLayer(
  work: LayerWork,
  data: Data,
  dtype: FloatDType,
): Promise<{ layer: Layer; input: TensorType }> {
  const layer = makeLayer(work, dtype);
  layer.loadStateDict(
    Object.fromEntries(
      Object.entries(data.weights).map(([name, { data: values, shape }]) => [
        name,
        new Tensor('float32', values, shape),
      ]),
    ),
  );
  const [given] = Object.values(data.inputs);
  const input = await new Tensor('float32', given!.data, given!.shape).to({ dtype });
  return { layer, input };
}

/**
 * How a result gets its memory. `out`: the caller keeps one tensor. `pooled`: from the pool, and back
 * after each call. `first use`: from the pool while all earlier results are kept, so that no page was
 * touched before. `forward`: as `pooled`, but asynchronous.
 */
export type Manner = 'out' | 'pooled' | 'first use' | 'forward';

const manners: Record<Manner, string> = {
  out: 'forwardSync into out',
  pooled: 'forwardSync, pooled result',
  'first use': 'forwardSync, memory new to the process',
  forward: 'await forward into out',
};

/** The first tolerance is for float32; half types round input, weights and result. */
export const tolerances: Record<FloatDType, number> = {
  float32: 1e-3,
  float16: 5e-3,
  bfloat16: 4e-2,
};

export function variantOf(dtype: FloatDType, manner: Manner): string {
  return `${dtype}, ${manners[manner]}`;
}

export async function productRunner(
  work: LayerWork,
  data: Data,
  dtype: FloatDType,
  manner: Manner,
): Promise<Runner> {
  const { layer, input } = await loadLayer(work, data, dtype);
  const out = Tensor.zeros(outputShape(work), { dtype, device: 'cpu' });
  const kept: TensorType[] = [];
  return {
    side: 'product',
    dtype,
    name: productName,
    variant: variantOf(dtype, manner),
    tolerance: tolerances[dtype],
    once: manner === 'first use',
    async sample(calls) {
      switch (manner) {
        case 'out':
          return clocked(calls, () => layer.forwardSync(input, { out }));
        case 'pooled':
          return clocked(calls, () => layer.forwardSync(input).dispose());
        case 'first use':
          // Allocate the pool's free memory first, because its pages were touched before.
          while (memoryUsage().pooled >= out.byteLength) {
            kept.push(Tensor.zeros(out.shape, { dtype, device: 'cpu' }));
          }
          return clocked(calls, () => kept.push(layer.forwardSync(input)));
        case 'forward':
          return clockedAsync(calls, async () => {
            await layer.forward(input, { out });
          });
      }
    },
    result() {
      layer.forwardSync(input, { out });
      return Float32Array.from(out.toFloat32Array());
    },
    close() {
      for (const tensor of kept) tensor.dispose();
      out.dispose();
      input.dispose();
      layer.dispose();
    },
  };
}
