import type { AnyLayer, LayerKind, Tensor, WanConditions } from 'latte-embeddings';
import { invalid } from '../protocol/errors.js';
import {
  datatypeOf,
  elementsOf,
  floatDatatypes,
  numberDatatypes,
  type Datatype,
} from '../protocol/tensor.js';
import type { TensorSpec } from './model.js';

/** The inputs of a forward by the protocol's names. */
export type Named = Readonly<Record<string, Tensor>>;

/** Shapes by the name of an input, an output or a weight. */
export type Shapes = Readonly<Record<string, readonly number[]>>;

/** The results of a forward by the protocol's names; null for one that the inputs did not ask for. */
export type Results = Readonly<Record<string, Tensor | null>>;

/** What the service has to know of a layer's class. */
export interface LayerSpec {
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
  /** The shape of each output, for inputs of these shapes. @throws ProtocolError 'invalid'. */
  shapesOf(shapes: Shapes): Shapes;
  /**
   * Whether requests with inputs of these shapes can share a run: the layer computes each row of an
   * output of the same row of its inputs. The rows are those of all leading axes of any length.
   */
  canShare(shapes: Shapes): boolean;
  /** The bytes of scratch memory for outputs of these shapes, if it is not small. */
  scratchBytes?(shapes: Shapes): number;
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
    canShare: () => true,
    forward: async (layer, inputs, options) => ({
      [to]: (await layer.forward(inputs[from]!, options)) as Tensor,
    }),
  };
}

/**
 * A layer that makes tokens of a latent [B, C, …]; `patch` has the lengths of a patch's axes. Requests
 * do not share a run, because memory limits the speed and a batch would not be quicker.
 */
function patches(
  datatype: Datatype,
  [dim, channels, ...patch]: readonly [number, number, ...number[]],
  { positions }: { positions: boolean },
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
      if (tokens === 0) {
        throw invalid(
          `input "latent" must have at least one patch of ${patch.join(' × ')}, but has ${lengths.join(' × ')}`,
        );
      }
      return { tokens: [batch!, tokens, dim] };
    },
    canShare: () => false,
    // The position table, which is float64 while it is computed.
    scratchBytes: ({ tokens }) => (positions ? tokens![1]! * dim * 8 : 0),
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
    // An input of one row would serve the rows of other requests, too.
    canShare: (shapes) => inputs.every(({ name }) => shapes[name]![0] === shapes['timestep']![0]),
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
    canShare: (shapes) => !pairs || shapes['encoder_hidden_states_image'] === undefined,
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
  config: Readonly<Record<string, unknown>>,
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
    canShare: () => false,
    forward: async (layer, inputs, options) => ({
      tokens: (await layer.forward(
        inputs['text_embeds']!,
        inputs['image_embeds']!,
        options,
      )) as Tensor,
    }),
  };
}

type SpecMaker = (
  datatype: Datatype,
  weights: Shapes,
  config: Readonly<Record<string, unknown>>,
) => LayerSpec;

/** The projection of text states by two linears. */
const textProjection: SpecMaker = (datatype, weights) =>
  projection(datatype, ['caption', 'encoder_hidden_states'], mlpSize(weights), 2);

const patchEmbed =
  (more: { positions: boolean }): SpecMaker =>
  (datatype, weights) => {
    const [dim, channels, ...patch] = weights['proj.weight']!;
    return patches(datatype, [dim!, channels!, ...patch], more);
  };

/** The channels that a layer of two linears makes, and those that it takes. */
function mlpSize(weights: Shapes): readonly [number, number] {
  return [weights['linear_2.weight']![0]!, weights['linear_1.weight']![1]!];
}

/** A layer with a modulation of `linear`, and the inputs beside the timestep. */
const modulation =
  (...others: readonly TensorSpec[]): SpecMaker =>
  (datatype, weights) => {
    const [width, dim] = weights['linear.weight']!;
    const outputs = { modulation: width!, embedded_timestep: dim! };
    return conditions(datatype, [numbers('timestep'), ...others], outputs);
  };

/** A layer with the sum of a timestep's embedding and others. */
const embeddingSum =
  (others: (datatype: Datatype, weights: Shapes) => readonly TensorSpec[]): SpecMaker =>
  (datatype, weights) => {
    const inputs = [numbers('timestep'), ...others(datatype, weights)];
    const [dim] = weights['timestep_embedder.linear_2.weight']!;
    return conditions(datatype, inputs, { embedding: dim! });
  };

const pooled = (datatype: Datatype, weights: Shapes): TensorSpec =>
  floats('pooled_projection', datatype, [-1, weights['text_embedder.linear_1.weight']![1]!]);

/** The compiler refuses this table if the library has a class of layers that it lacks. */
const specs: Readonly<Record<LayerKind, SpecMaker>> = {
  AdaLayerNormSingle: modulation(),
  CaptionProjection: textProjection,
  CogVideoXPatchEmbed: cogVideoX,
  CombinedTimestepGuidanceTextProjEmbeddings: embeddingSum((datatype, weights) => [
    pooled(datatype, weights),
    numbers('guidance'),
  ]),
  CombinedTimestepTextProjEmbeddings: embeddingSum((datatype, weights) => [
    pooled(datatype, weights),
  ]),
  Linear: (datatype, weights) => {
    const [dim, width] = weights['weight']!;
    return projection(datatype, ['hidden_states', 'output'], [dim!, width!], 2);
  },
  PatchEmbed: patchEmbed({ positions: true }),
  PatchEmbed3d: patchEmbed({ positions: false }),
  PixArtAlphaTextProjection: textProjection,
  QwenTimestepProjEmbeddings: embeddingSum((_, weights) =>
    weights['addition_t_embedding.weight'] === undefined
      ? []
      : [numbers('addition_t_cond', 'INT64')],
  ),
  SanaCombinedTimestepGuidanceEmbeddings: modulation(numbers('guidance')),
  TimestepEmbedding: (datatype, weights) =>
    projection(datatype, ['sample', 'embedding'], mlpSize(weights), 1),
  WanTimeTextImageEmbedding: wan,
};

/** What the service has to know of a layer. @param config the fields of the checkpoint's config.json. */
export function specOf(layer: AnyLayer, config: Readonly<Record<string, unknown>>): LayerSpec {
  const state = layer.stateDict();
  const shapes = Object.entries(state).map(([name, tensor]) => [name, tensor.shape] as const);
  for (const tensor of Object.values(state)) tensor.dispose();
  const kind = layer.constructor.name as LayerKind;
  return specs[kind](datatypeOf(layer.dtype), Object.fromEntries(shapes), config);
}
