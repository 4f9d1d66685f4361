import { sizeOf, type Data } from '../data.js';
import {
  familyOutputs,
  familyPositions,
  gridOf,
  numbersOf,
  type FamilyWork,
} from '../family-work.js';
import { OnnxGraph } from './onnx-graph.js';
import {
  linear,
  products,
  silu,
  sinusoid,
  timestepMlp,
  transposed,
  type Model,
  type Product,
} from './onnx-parts.js';

type PatchProduct = 'Conv' | 'patchify + MatMul';

/** A graph under construction, and its case. */
interface Building {
  graph: OnnxGraph;
  work: FamilyWork;
  data: Data;
  /** The graph's inputs by name. */
  inputs: Record<string, string>;
}

/** Reshapes [..., K] to [rows, K]. */
function asRows({ graph, work, inputs }: Building, name: string): string {
  const shape = work.inputs[name]!.shape;
  return graph.reshape(inputs[name]!, [sizeOf(shape.slice(0, -1)), shape.at(-1)!]);
}

/** linear_1, GELU (tanh) and linear_2 on rows. */
function geluMlp(building: Building, kind: Product, x: string, prefix: string): string {
  const { graph, data } = building;
  const hidden = graph.node('Gelu', [linear(graph, kind, x, data, `${prefix}linear_1`)], {
    approximate: 'tanh',
  });
  return linear(graph, kind, hidden, data, `${prefix}linear_2`);
}

/** The tokens before positions are added; with the projection's bias if `biased`. */
function patches(
  { graph, work, data, inputs }: Building,
  kind: PatchProduct,
  biased: boolean,
): string {
  const [frames, rows, columns] = gridOf(work);
  const images = work.op === 'CogVideoXPatchEmbed';
  const latent = images ? inputs.imageEmbeds! : inputs.latent!;
  const shape = (images ? work.inputs.imageEmbeds! : work.inputs.latent!).shape;
  const [pt, p] =
    work.op === 'PatchEmbed3d'
      ? ((work.options as { patchSize: number[] }).patchSize as [number, number])
      : [numbersOf(work).patchSizeT ?? 1, numbersOf(work).patchSize!];
  const channels = images ? shape[2]! : shape[1]!;
  const batch = shape[0]!;
  const weight = data.weights['proj.weight']!;
  const bias = data.weights['proj.bias']!;
  const dim = weight.shape[0]!;
  const tokens = sizeOf([frames, rows, columns]);
  const volume = work.op === 'PatchEmbed3d';
  if (kind === 'Conv') {
    const kernel = volume ? [pt, p, p] : [p, p];
    const attributes = { kernel_shape: kernel, strides: kernel };
    const from = images
      ? graph.reshape(latent, [batch * frames, channels, rows * p, columns * p])
      : latent;
    const x = graph.node('Conv', [from, graph.floats(weight), graph.floats(bias)], attributes);
    const outer = images ? batch * frames : batch;
    const each = images ? rows * columns : tokens;
    const flat = graph.reshape(x, [outer, dim, each]);
    return graph.reshape(graph.node('Transpose', [flat], { perm: [0, 2, 1] }), [
      ...[batch, tokens, dim],
    ]);
  }
  const depth = channels * pt * p * p;
  // The axes: batch, frame, frame of the patch, channel, row, y, column, x; or with the channel second.
  const split = images
    ? [batch, frames, pt, channels, rows, p, columns, p]
    : [batch, channels, frames, pt, rows, p, columns, p];
  const perm = images ? [0, 1, 4, 6, 3, 2, 5, 7] : [0, 2, 4, 6, 1, 3, 5, 7];
  const gathered = graph.node('Transpose', [graph.reshape(latent, split)], { perm });
  const flat = { data: weight.data, shape: [dim, depth] };
  const x = graph.node('MatMul', [
    graph.reshape(gathered, [batch, tokens, depth]),
    graph.floats(transposed(flat, dim, depth)),
  ]);
  return biased ? graph.node('Add', [x, graph.floats(bias)]) : x;
}

function patchTokens(building: Building, kind: PatchProduct): string {
  const { graph, work, data } = building;
  const dim = numbersOf(work).embedDim!;
  const positions = familyPositions(work, data);
  if (work.op === 'CogVideoXPatchEmbed') {
    const [batch, length] = work.inputs.textEmbeds!.shape as [number, number];
    const text = linear(graph, 'MatMul', asRows(building, 'textEmbeds'), data, 'text_proj');
    const x = graph.node(
      'Concat',
      [graph.reshape(text, [batch, length, dim]), patches(building, kind, true)],
      { axis: 1 },
    );
    if (positions === undefined) return x;
    const shape = [1, positions.length / dim, dim];
    return graph.node('Add', [x, graph.floats({ data: positions, shape })]);
  }
  // The peer gets its fastest form: one addition for bias and positions instead of two.
  const folded = kind === 'patchify + MatMul' && positions !== undefined;
  const x = patches(building, kind, !folded);
  if (positions === undefined) return x;
  const bias = data.weights['proj.bias']!.data;
  if (folded) for (let i = 0; i < positions.length; i++) positions[i]! += bias[i % dim]!;
  const shape = [1, positions.length / dim, dim];
  return graph.node('Add', [x, graph.floats({ data: positions, shape })]);
}

/** The embedder's result for the sinusoids of a vector of timesteps. */
function embedded(
  { graph, work, data, inputs }: Building,
  kind: Product,
  input: string,
  embedder: string,
  scale = 1,
): string {
  const scaled =
    scale === 1 ? inputs[input]! : graph.node('Mul', [inputs[input]!, graph.scalar(scale)]);
  const x = sinusoid(graph, scaled, work.inputs[input]!.shape[0]!);
  return timestepMlp(graph, kind, x, data, `${embedder}.`);
}

function layerNorm({ graph, data }: Building, x: string, name: string): string {
  const scale = graph.floats(data.weights[`${name}.weight`]!);
  const shift = graph.floats(data.weights[`${name}.bias`]!);
  return graph.node('LayerNormalization', [x, scale, shift], { axis: -1, epsilon: 1e-5 });
}

function wanImage(building: Building, kind: Product): string {
  const { graph, data } = building;
  let x = layerNorm(building, asRows(building, 'encoderHiddenStatesImage'), 'image_embedder.norm1');
  x = graph.node('Gelu', [linear(graph, kind, x, data, 'image_embedder.ff.net.0.proj')], {
    approximate: 'none',
  });
  x = linear(graph, kind, x, data, 'image_embedder.ff.net.2');
  return layerNorm(building, x, 'image_embedder.norm2');
}

/** The results of a layer without patches, by the names of `familyOutputs`. */
function results(building: Building, kind: Product): Record<string, string> {
  const { graph, work, data, inputs } = building;
  switch (work.op) {
    case 'Linear': {
      const { weight, bias } = data.weights as Record<'weight' | 'bias', never>;
      const named = { weights: { 'x.weight': weight, 'x.bias': bias }, inputs: {} };
      return { result: linear(graph, kind, asRows(building, 'input'), named, 'x') };
    }
    case 'PixArtAlphaTextProjection':
      return { result: geluMlp(building, kind, asRows(building, 'caption'), '') };
    case 'CombinedTimestepTextProjEmbeddings':
    case 'CombinedTimestepGuidanceTextProjEmbeddings': {
      let sum = embedded(building, kind, 'timestep', 'timestep_embedder');
      if (inputs.guidance !== undefined) {
        const guidance = embedded(building, kind, 'guidance', 'guidance_embedder');
        sum = graph.node('Add', [sum, guidance]);
      }
      const text = timestepMlp(graph, kind, inputs.pooledProjection!, data, 'text_embedder.');
      return { embedding: graph.node('Add', [sum, text]) };
    }
    case 'SanaCombinedTimestepGuidanceEmbeddings': {
      const e = graph.node('Add', [
        embedded(building, kind, 'timestep', 'timestep_embedder'),
        embedded(building, kind, 'guidance', 'guidance_embedder'),
      ]);
      return { modulation: linear(graph, kind, silu(graph, e), data, 'linear'), embedded: e };
    }
    case 'QwenTimestepProjEmbeddings':
      return { embedding: embedded(building, kind, 'timestep', 'timestep_embedder', 1000) };
    case 'WanTimeTextImageEmbedding': {
      const temb = embedded(building, kind, 'timestep', 'time_embedder');
      return {
        temb,
        timestepProj: linear(graph, kind, silu(graph, temb), data, 'time_proj'),
        text: geluMlp(building, kind, asRows(building, 'encoderHiddenStates'), 'text_embedder.'),
        ...(inputs.encoderHiddenStatesImage === undefined
          ? {}
          : { image: wanImage(building, kind) }),
      };
    }
    default:
      throw new Error(`${work.op} has patches`);
  }
}

/** Every graph of a sibling's layer that might be the fastest. */
export function familyModels(work: FamilyWork, data: Data): Model[] {
  const patched = ['PatchEmbed', 'PatchEmbed3d', 'CogVideoXPatchEmbed'].includes(work.op);
  // Conv would need an axis of frames beside that of images, which it lacks.
  const inTime = work.op === 'CogVideoXPatchEmbed' && work.options.patchSizeT !== undefined;
  const kinds = patched
    ? (['Conv', 'patchify + MatMul'] as const).slice(inTime ? 1 : 0)
    : [...products];
  const outputs = familyOutputs(work);
  return kinds.map((kind) => {
    const graph = new OnnxGraph();
    const inputs = Object.fromEntries(
      Object.entries(work.inputs).map(([name, { shape }]) => [name, graph.input(name, shape)]),
    );
    const building = { graph, work, data, inputs };
    const made = patched
      ? { tokens: patchTokens(building, kind as PatchProduct) }
      : results(building, kind as Product);
    for (const [name, shape] of Object.entries(outputs)) {
      graph.output(graph.reshape(made[name]!, shape), name, shape);
    }
    return { variant: kind, bytes: graph.bytes(), outputs };
  });
}
