import type { FloatDType, StateDict, Tensor } from '../../index.js';
import { familyRows, resultsOf } from './family-layers.js';
import { randomNormal } from '../random.js';

// Measures how long a forward of each layer takes on a device, with inputs and results on that device.

type Library = typeof import('../../index.js');

/** The sizes of the layers and inputs that are measured. */
export interface Sizes {
  /** The channels of the embeddings. */
  dim: number;
  /** The channels of the text encoder's states. */
  text: number;
  /** [B, C, H, W]; H = W. */
  latent: [number, number, number, number];
  /** The tokens of the caption, whose batch is 2. */
  tokens: number;
  /** The number of forwards of which the median is taken; fewer if they would take over a second. */
  repetitions: number;
  /** Whether the layers of other models are tiny, too, instead of at their own sizes. */
  isTiny: boolean;
}

/** Latte-XL at 512×512: 16 frames with guidance, 120 tokens. */
export const latteXl: Sizes = {
  dim: 1152,
  text: 4096,
  latent: [32, 4, 64, 64],
  tokens: 120,
  repetitions: 50,
  isTiny: false,
};
/** Too small to measure speed: shows only that everything runs. */
export const small: Sizes = {
  dim: 48,
  text: 64,
  latent: [2, 4, 8, 8],
  tokens: 7,
  repetitions: 3,
  isTiny: true,
};

export interface Timing {
  layer: string;
  /** The model whose sizes these are. */
  model: string;
  dtype: FloatDType;
  /**
   * `median` and `least`: of forwards that were awaited one by one. `queued`: of as many forwards
   * that were started together, divided by their number. Undefined after an error.
   */
  milliseconds?: { median: number; least: number; queued: number };
  error?: string;
  code?: string;
}

/** A layer with its weights and inputs. */
interface Prepared {
  forward(): Promise<Tensor[]>;
  dispose(): void;
}

/** A layer to measure. */
interface Maker {
  layer: string;
  model: string;
  make: (dtype: FloatDType) => Promise<Prepared>;
}

type Shapes = Record<string, number[]>;

interface AnyLayer {
  loadStateDict(weights: StateDict): unknown;
  dispose(): void;
}

const linear = (name: string, out: number, into: number): Shapes => ({
  [`${name}.weight`]: [out, into],
  [`${name}.bias`]: [out],
});
const mlp = (name: string, out: number, into: number): Shapes => ({
  ...linear(`${name}linear_1`, out, into),
  ...linear(`${name}linear_2`, out, out),
});

function makers(
  library: Library,
  { dim, text, latent, tokens, isTiny }: Sizes,
  device: string,
): Maker[] {
  const tensor = (name: string, shape: number[]): Tensor => {
    const count = shape.reduce((product, length) => product * length, 1);
    return new library.Tensor('float32', randomNormal(count, 0, `bench ${name}`), shape);
  };
  const onDevice = (name: string, shape: number[], dtype: FloatDType): Promise<Tensor> =>
    tensor(name, shape).to({ device, dtype });
  const load = <Layer extends AnyLayer>(layer: Layer, shapes: Shapes): Layer => {
    const weights = Object.entries(shapes).map(([name, shape]) => [name, tensor(name, shape)]);
    layer.loadStateDict(Object.fromEntries(weights) as StateDict);
    return layer;
  };
  const prepared = (
    layer: AnyLayer,
    inputs: Tensor[],
    forward: () => Promise<Tensor[]>,
  ): Prepared => ({
    forward,
    dispose: () => {
      layer.dispose();
      for (const input of inputs) input.dispose();
    },
  });
  const latte: Record<string, Maker['make']> = {
    PatchEmbed: async (dtype) => {
      const side = latent[2];
      const layer = load(
        new library.PatchEmbed({
          ...{ height: side, width: side, patchSize: 2, inChannels: latent[1], embedDim: dim },
          ...{ device, dtype },
        }),
        { 'proj.weight': [dim, latent[1], 2, 2], 'proj.bias': [dim] },
      );
      const input = await onDevice('latent', latent, dtype);
      return prepared(layer, [input], async () => [await layer.forward(input)]);
    },
    AdaLayerNormSingle: async (dtype) => {
      const layer = load(new library.AdaLayerNormSingle({ embeddingDim: dim, device, dtype }), {
        ...mlp('emb.timestep_embedder.', dim, 256),
        ...linear('linear', 6 * dim, dim),
      });
      const timestep = Array.from({ length: 20 }, (_, i) => 999 - 50 * i);
      return prepared(layer, [], async () => {
        const { modulation, embeddedTimestep } = await layer.forward({ timestep });
        return [modulation, embeddedTimestep];
      });
    },
    CombinedTimestepSizeEmbeddings: async (dtype) => {
      const layer = load(
        new library.CombinedTimestepSizeEmbeddings({
          ...{ embeddingDim: dim, sizeEmbDim: dim / 3, useAdditionalConditions: true },
          ...{ device, dtype },
        }),
        {
          ...mlp('timestep_embedder.', dim, 256),
          ...mlp('resolution_embedder.', dim / 3, 256),
          ...mlp('aspect_ratio_embedder.', dim / 3, 256),
        },
      );
      const inputs = {
        timestep: [999, 999],
        resolution: new library.Tensor('float32', [512, 512, 512, 512], [2, 2]),
        aspectRatio: new library.Tensor('float32', [1, 1], [2, 1]),
      };
      return prepared(layer, [], async () => [await layer.forward(inputs)]);
    },
    CaptionProjection: async (dtype) => {
      const layer = load(
        new library.CaptionProjection({ inFeatures: text, hiddenSize: dim, device, dtype }),
        mlp('', dim, text),
      );
      const caption = await onDevice('caption', [2, tokens, text], dtype);
      return prepared(layer, [caption], async () => [await layer.forward(caption)]);
    },
  };
  const family = familyRows(library, isTiny).map(
    ({ layer, model, make, inputs, isNamed }): Maker => ({
      ...{ layer, model },
      make: async (dtype) => {
        const made = make({ device, dtype });
        load(
          made,
          Object.fromEntries(made.parameters().map(({ name, shape }) => [name, [...shape]])),
        );
        const given: Record<string, unknown> = {};
        const tensors: Tensor[] = [];
        for (const [name, input] of Object.entries(inputs)) {
          given[name] = 'shape' in input ? await onDevice(name, input.shape, dtype) : input;
          if ('shape' in input) tensors.push(given[name] as Tensor);
        }
        const args = isNamed ? [given] : Object.values(given);
        return prepared(made, tensors, async () =>
          resultsOf((await made.forward(...args)) as Parameters<typeof resultsOf>[0]),
        );
      },
    }),
  );
  const ofLatte = Object.entries(latte).map(([layer, make]) => ({
    layer,
    model: 'Latte-XL',
    make,
  }));
  return [...ofLatte, ...family];
}

const dispose = (tensors: Tensor[]): void => tensors.forEach((tensor) => tensor.dispose());

async function time(layer: Prepared, most: number): Promise<NonNullable<Timing['milliseconds']>> {
  let once = 0;
  for (let i = 0; i < 3; i++) {
    const begin = performance.now();
    dispose(await layer.forward());
    once = performance.now() - begin;
  }
  const repetitions = Math.min(most, Math.max(5, Math.ceil(1000 / once)));
  const alone: number[] = [];
  for (let i = 0; i < repetitions; i++) {
    const begin = performance.now();
    const results = await layer.forward();
    alone.push(performance.now() - begin);
    dispose(results);
  }
  alone.sort((a, b) => a - b);
  const begin = performance.now();
  await Promise.all(
    Array.from({ length: repetitions }, async () => dispose(await layer.forward())),
  );
  const queued = (performance.now() - begin) / repetitions;
  const rounded = (value: number): number => Math.round(value * 1000) / 1000;
  return {
    median: rounded(alone[alone.length >> 1]!),
    least: rounded(alone[0]!),
    queued: rounded(queued),
  };
}

/**
 * Measures every layer in each of `dtypes`, one after another.
 * @param show called before each with the share that is done, from 0 to 1, and the layer's name.
 */
export async function timeLayers(
  library: Library,
  sizes: Sizes,
  device: string,
  dtypes: readonly FloatDType[],
  show: (done: number, activity: string) => void,
): Promise<Timing[]> {
  const timings: Timing[] = [];
  const layers = makers(library, sizes, device);
  for (const { layer, model, make } of layers) {
    for (const dtype of dtypes) {
      show(timings.length / (layers.length * dtypes.length), `${layer} ${dtype} (${model})`);
      try {
        const prepared = await make(dtype);
        try {
          timings.push({
            layer,
            model,
            dtype,
            milliseconds: await time(prepared, sizes.repetitions),
          });
        } finally {
          prepared.dispose();
        }
      } catch (error) {
        // The chip may not compute in this dtype, for example. The other layers are still measured.
        if (!(error instanceof library.LatteError)) throw error;
        if (error.code === 'ERR_DEVICE_UNAVAILABLE') throw error;
        timings.push({ layer, model, dtype, error: error.message, code: error.code });
      }
    }
  }
  return timings;
}
