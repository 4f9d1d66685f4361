import {
  AdaLayerNormSingle,
  CogVideoXPatchEmbed,
  CombinedTimestepGuidanceTextProjEmbeddings,
  CombinedTimestepTextProjEmbeddings,
  Linear,
  PatchEmbed,
  PatchEmbed3d,
  PixArtAlphaTextProjection,
  QwenTimestepProjEmbeddings,
  SanaCombinedTimestepGuidanceEmbeddings,
  TimestepEmbedding,
  WanTimeTextImageEmbedding,
  type AnyLayer,
  type Tensor,
  type TransformerEmbeddings,
  type WanConditions,
} from 'latte-embeddings';
import {
  datatypeOf,
  elementsOf,
  floatDatatypes,
  itemSize,
  type Datatype,
  type WireTensor,
} from '../protocol/tensor.js';
import type { Job, Model, RunTimes, TensorSpec } from './model.js';
import { numberDatatypes } from './layers.js';
import { concatenate, stopwatch, takeRows } from './rows.js';

/** The inputs of a forward by the protocol's names. */
type Named = Readonly<Record<string, Tensor>>;

/** Shapes by the name of an input, an output or a weight. */
type Shapes = Readonly<Record<string, readonly number[]>>;

/** The results of a forward by the protocol's names; null for one that the inputs did not ask for. */
type Results = Readonly<Record<string, Tensor | null>>;

/** What the service has to know of a layer's class. */
interface LayerSpec {
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
  /** The shape of each output, for inputs of these shapes. */
  shapesOf(shapes: Shapes): Shapes;
  /** Calls the forward of the layer, which is one of the class on any device. */
  forward(layer: AnyLayer, inputs: Named, options: { signal: AbortSignal }): Promise<Results>;
}

function floats(name: string, datatype: Datatype, shape: readonly number[], more = {}): TensorSpec {
  return { name, datatype, accepts: floatDatatypes, shape, ...more };
}

function numbers(name: string, datatype: Datatype = 'FP32'): TensorSpec {
  return { name, datatype, accepts: numberDatatypes, shape: [-1] };
}

/** A layer that maps the last axis of one tensor: […, K] → […, D]. */
function projection(
  datatype: Datatype,
  [from, to]: readonly [string, string],
  [dim, width]: readonly [number, number],
  axes: number,
): LayerSpec {
  const free = new Array<number>(axes).fill(-1);
  return {
    inputs: [floats(from, datatype, [...free, width])],
    outputs: [{ name: to, datatype, shape: [...free, dim] }],
    shapesOf: (shapes) => ({ [to]: [...shapes[from]!.slice(0, -1), dim] }),
    forward: async (layer, inputs, options) => ({
      [to]: (await layer.forward(inputs[from]!, options)) as Tensor,
    }),
  };
}

/** A layer that makes tokens of a latent [B, C, …]; `patch` has the lengths of a patch's axes. */
function patches(
  datatype: Datatype,
  [dim, channels, ...patch]: readonly [number, number, ...number[]],
): LayerSpec {
  const free = new Array<number>(patch.length).fill(-1);
  return {
    inputs: [
      floats('latent', datatype, [-1, channels, ...free], { example: [1, channels, ...patch] }),
    ],
    outputs: [{ name: 'tokens', datatype, shape: [-1, -1, dim] }],
    shapesOf: (shapes) => {
      const [batch, , ...lengths] = shapes['latent']!;
      const tokens = elementsOf(lengths.map((length, axis) => Math.floor(length / patch[axis]!)));
      return { tokens: [batch!, tokens, dim] };
    },
    forward: async (layer, { latent }, options) => ({
      tokens: (await layer.forward(latent!, options)) as Tensor,
    }),
  };
}

/** A layer that embeds a timestep, beside other conditions, in one or two results of N rows. */
function conditions(
  datatype: Datatype,
  inputs: readonly TensorSpec[],
  outputs: Readonly<Record<string, number>>,
): LayerSpec {
  const names = Object.keys(outputs);
  const camel = (name: string): string =>
    name.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase());
  return {
    inputs,
    outputs: names.map((name) => ({ name, datatype, shape: [-1, outputs[name]!] })),
    shapesOf: (shapes) => {
      const [rows] = shapes['timestep']!;
      return Object.fromEntries(names.map((name) => [name, [rows!, outputs[name]!]]));
    },
    forward: async (layer, given, options) => {
      const named = Object.entries(given).map(([name, tensor]) => [camel(name), tensor]);
      const result = (await layer.forward(Object.fromEntries(named), options)) as
        Tensor | Record<string, Tensor>;
      if (names.length === 1) return { [names[0]!]: result as Tensor };
      const all = result as Record<string, Tensor>;
      return Object.fromEntries(names.map((name) => [name, all[camel(name)]!]));
    },
  };
}

function wan(datatype: Datatype, weights: Shapes): LayerSpec {
  const [dim, width] = weights['text_embedder.linear_1.weight']!;
  const projected = weights['time_proj.weight']![0]!;
  const image = weights['image_embedder.norm1.weight']?.[0];
  const pairs = weights['image_embedder.pos_embed'] !== undefined;
  const images: TensorSpec[] =
    image === undefined
      ? []
      : [floats('encoder_hidden_states_image', datatype, [-1, -1, image], { optional: true })];
  const states = { datatype, shape: [-1, -1, dim!] };
  return {
    inputs: [
      numbers('timestep'),
      floats('encoder_hidden_states', datatype, [-1, -1, width!]),
      ...images,
    ],
    outputs: [
      { name: 'temb', datatype, shape: [-1, dim!] },
      { name: 'timestep_proj', datatype, shape: [-1, projected] },
      { name: 'encoder_hidden_states', ...states },
      ...images.map(({ name }) => ({ name, ...states, optional: true })),
    ],
    shapesOf: (shapes) => {
      const [rows] = shapes['timestep']!;
      const [batch, tokens] = shapes['encoder_hidden_states']!;
      const result: Record<string, readonly number[]> = {
        temb: [rows!, dim!],
        timestep_proj: [rows!, projected],
        encoder_hidden_states: [batch!, tokens!, dim!],
      };
      const given = shapes['encoder_hidden_states_image'];
      if (given !== undefined) {
        const [count, length] = given;
        const shape = pairs ? [count! / 2, 2 * length!, dim!] : [count!, length!, dim!];
        result['encoder_hidden_states_image'] = shape;
      }
      return result;
    },
    forward: async (layer, inputs, options) => {
      const made = (await layer.forward(
        {
          timestep: inputs['timestep']!,
          encoderHiddenStates: inputs['encoder_hidden_states']!,
          encoderHiddenStatesImage: inputs['encoder_hidden_states_image'] ?? null,
        },
        options,
      )) as WanConditions;
      return {
        temb: made.temb,
        timestep_proj: made.timestepProj,
        encoder_hidden_states: made.encoderHiddenStates,
        encoder_hidden_states_image: made.encoderHiddenStatesImage,
      };
    },
  };
}

function cogVideoX(
  datatype: Datatype,
  weights: Shapes,
  config: TransformerEmbeddings['config'],
): LayerSpec {
  const [dim, width] = weights['text_proj.weight']!;
  const number = (name: string, fallback: number): number => {
    const value = Object.hasOwn(config, name) ? config[name] : undefined;
    return typeof value === 'number' ? value : fallback;
  };
  const size = number('patch_size', 2);
  const frames = number('patch_size_t', 1);
  const channels = number('in_channels', 16);
  // A learned table allows the sample's size alone. Latents have one frame for `ratio` of the video.
  const ratio = number('temporal_compression_ratio', 4);
  const sample = Math.ceil((number('sample_frames', 49) - 1) / ratio) + 1;
  const example = [
    1,
    Math.ceil(sample / frames) * frames,
    channels,
    number('sample_height', 60),
    number('sample_width', 90),
  ];
  const text = [1, number('max_text_seq_length', 226), width!];
  return {
    inputs: [
      floats('text_embeds', datatype, [-1, -1, width!], { example: text }),
      floats('image_embeds', datatype, [-1, -1, channels, -1, -1], { example }),
    ],
    outputs: [{ name: 'tokens', datatype, shape: [-1, -1, dim!] }],
    shapesOf: (shapes) => {
      const [batch, states] = shapes['text_embeds']!;
      const [, count, , height, breadth] = shapes['image_embeds']!;
      const inFrame = Math.floor(height! / size) * Math.floor(breadth! / size);
      return { tokens: [batch!, states! + Math.floor(count! / frames) * inFrame, dim!] };
    },
    forward: async (layer, inputs, options) => ({
      tokens: (await layer.forward(
        inputs['text_embeds']!,
        inputs['image_embeds']!,
        options,
      )) as Tensor,
    }),
  };
}

/** @throws Error for a class of layers that the service does not know. */
function specOf(
  layer: AnyLayer,
  weights: Shapes,
  config: TransformerEmbeddings['config'],
): LayerSpec {
  const lengths = (name: string): readonly number[] => weights[name]!;
  const datatype = datatypeOf(layer.dtype);
  if (layer instanceof Linear) {
    const [dim, width] = lengths('weight');
    return projection(datatype, ['hidden_states', 'output'], [dim!, width!], 2);
  }
  if (layer instanceof PixArtAlphaTextProjection) {
    const size = [lengths('linear_2.weight')[0]!, lengths('linear_1.weight')[1]!] as const;
    return projection(datatype, ['caption', 'encoder_hidden_states'], size, 2);
  }
  if (layer instanceof TimestepEmbedding) {
    const size = [lengths('linear_2.weight')[0]!, lengths('linear_1.weight')[1]!] as const;
    return projection(datatype, ['sample', 'embedding'], size, 1);
  }
  if (layer instanceof PatchEmbed || layer instanceof PatchEmbed3d) {
    const [dim, channels, ...patch] = lengths('proj.weight');
    return patches(datatype, [dim!, channels!, ...patch]);
  }
  if (layer instanceof CogVideoXPatchEmbed) return cogVideoX(datatype, weights, config);
  if (layer instanceof WanTimeTextImageEmbedding) return wan(datatype, weights);
  const timestep = numbers('timestep');
  const guidance = numbers('guidance');
  if (
    layer instanceof AdaLayerNormSingle ||
    layer instanceof SanaCombinedTimestepGuidanceEmbeddings
  ) {
    const [modulation, dim] = lengths('linear.weight');
    const inputs = layer instanceof AdaLayerNormSingle ? [timestep] : [timestep, guidance];
    return conditions(datatype, inputs, { modulation: modulation!, embedded_timestep: dim! });
  }
  const embedding = (): number => lengths('timestep_embedder.linear_2.weight')[0]!;
  if (layer instanceof QwenTimestepProjEmbeddings) {
    const added = weights['addition_t_embedding.weight'] !== undefined;
    const inputs = added ? [timestep, numbers('addition_t_cond', 'INT64')] : [timestep];
    return conditions(datatype, inputs, { embedding: embedding() });
  }
  const guided = layer instanceof CombinedTimestepGuidanceTextProjEmbeddings;
  if (guided || layer instanceof CombinedTimestepTextProjEmbeddings) {
    const pooled = lengths('text_embedder.linear_1.weight')[1]!;
    const inputs = [timestep, floats('pooled_projection', datatype, [-1, pooled])];
    return conditions(datatype, guided ? [...inputs, guidance] : inputs, {
      embedding: embedding(),
    });
  }
  throw new Error(`the service cannot serve a layer of class ${layer.constructor.name}`);
}

/** One layer of a model. Its requests do not share runs. */
class LayerModel implements Model {
  readonly name: string;
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
  readonly #attribute: string;
  readonly #spec: LayerSpec;

  constructor(attribute: string, { layers, config }: TransformerEmbeddings) {
    const layer = layers[attribute]!;
    const state = layer.stateDict();
    const shapes = Object.entries(state).map(([name, tensor]) => [name, tensor.shape] as const);
    for (const tensor of Object.values(state)) tensor.dispose();
    this.#attribute = attribute;
    this.#spec = specOf(layer, Object.fromEntries(shapes), config);
    this.name = attribute.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
    this.inputs = this.#spec.inputs;
    this.outputs = this.#spec.outputs;
  }

  plan(inputs: ReadonlyMap<string, WireTensor>, wanted: ReadonlySet<string>): Job {
    const sizes = this.#shapesOf(inputs);
    const elements = Object.values(sizes).reduce((sum, shape) => sum + elementsOf(shape), 0);
    const [first] = this.outputs;
    const shape = sizes[first!.name]!;
    const rows = elementsOf(shape.slice(0, -1));
    // The results, and their copies in the answer.
    const bytes = 2 * elements * itemSize(first!.datatype);
    return { model: this, inputs, wanted, rows, bytes, batchKey: undefined };
  }

  #shapesOf(inputs: ReadonlyMap<string, WireTensor>): Shapes {
    const shapes = [...inputs].map(([name, { shape }]) => [name, shape] as const);
    return this.#spec.shapesOf(Object.fromEntries(shapes));
  }

  async run(
    { layers }: TransformerEmbeddings,
    jobs: readonly Job[],
    signal: AbortSignal,
    times: RunTimes,
  ): Promise<WireTensor[][]> {
    const answers: WireTensor[][] = [];
    for (const job of jobs) answers.push(await this.#runOne(layers, job, signal, times));
    return answers;
  }

  async #runOne(
    layers: TransformerEmbeddings['layers'],
    { inputs, wanted }: Job,
    signal: AbortSignal,
    times: RunTimes,
  ): Promise<WireTensor[]> {
    const took = stopwatch(times);
    const given: Record<string, Tensor> = {};
    let results: Results = {};
    try {
      for (const [name, { bytes, datatype, shape }] of inputs) {
        given[name] = concatenate([bytes], datatype, shape);
      }
      took('input');
      results = await this.#spec.forward(layers[this.#attribute]!, given, { signal });
      took('infer');
      const answer: WireTensor[] = [];
      for (const { name, datatype } of this.outputs) {
        const result = results[name];
        if (result == null || !wanted.has(name)) continue;
        const { shape } = result;
        const [bytes] = await takeRows(result, [1]);
        answer.push({ name, datatype, shape, bytes: bytes! });
      }
      took('output');
      return answer;
    } finally {
      for (const tensor of Object.values(given)) tensor.dispose();
      for (const tensor of Object.values(results)) tensor?.dispose();
    }
  }
}

/** A model for each layer of a transformer, by the names of the transformer's attributes. */
export function siblingModels(transformer: TransformerEmbeddings): Model[] {
  return Object.keys(transformer.layers).map((name) => new LayerModel(name, transformer));
}
