import type { Data } from '../data.js';
import {
  latentShape,
  outputShape,
  positionTable,
  tokensOf,
  type CaptionWork,
  type ConditioningWork,
  type PatchWork,
  type TimestepWork,
  type Work,
} from '../work.js';
import { familyModels } from './onnx-family.js';
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

function patchEmbed(
  graph: OnnxGraph,
  kind: 'Conv' | 'patchify + MatMul',
  latent: string,
  work: PatchWork,
  data: Data,
  prefix = '',
): string {
  const { batch, channels, patch, dim, layerNorm } = work;
  const [h, w] = tokensOf(work);
  const weight = data.weights[`${prefix}proj.weight`]!;
  const bias = data.weights[`${prefix}proj.bias`]!;
  const positions = positionTable(work);
  let x: string;
  if (kind === 'Conv') {
    const attributes = { kernel_shape: [patch, patch], strides: [patch, patch] };
    x = graph.node('Conv', [latent, graph.floats(weight), graph.floats(bias)], attributes);
    x = graph.node('Transpose', [graph.reshape(x, [batch, dim, h * w])], { perm: [0, 2, 1] });
  } else {
    const inner = channels * patch * patch;
    x = graph.reshape(latent, [batch, channels, h, patch, w, patch]);
    x = graph.node('Transpose', [x], { perm: [0, 2, 4, 1, 3, 5] });
    x = graph.reshape(x, [batch, h * w, inner]);
    x = graph.node('MatMul', [x, graph.floats(transposed(weight, dim, inner))]);
    if (layerNorm) {
      x = graph.node('Add', [x, graph.floats(bias)]);
    } else {
      // The peer gets its fastest graph: one addition for bias and positions instead of two.
      for (let i = 0; i < positions.length; i++) positions[i]! += bias.data[i % dim]!;
    }
  }
  if (layerNorm) {
    const scale = graph.floats({ data: new Float32Array(dim).fill(1), shape: [dim] });
    const shift = graph.floats({ data: new Float32Array(dim), shape: [dim] });
    x = graph.node('LayerNormalization', [x, scale, shift], { axis: -1, epsilon: 1e-6 });
  }
  return graph.node('Add', [x, graph.floats({ data: positions, shape: [1, h * w, dim] })]);
}

function captionProjection(
  graph: OnnxGraph,
  kind: Product,
  caption: string,
  { batch, tokens, inFeatures, dim }: CaptionWork,
  data: Data,
  prefix = '',
): string {
  let x = graph.reshape(caption, [batch * tokens, inFeatures]);
  x = linear(graph, kind, x, data, `${prefix}linear_1`);
  x = graph.node('Gelu', [x], { approximate: 'tanh' });
  x = linear(graph, kind, x, data, `${prefix}linear_2`);
  return graph.reshape(x, [batch, tokens, dim]);
}

function patchModels(work: PatchWork, data: Data): Model[] {
  return (['Conv', 'patchify + MatMul'] as const).map((kind) => {
    const graph = new OnnxGraph();
    const x = patchEmbed(graph, kind, graph.input('latent', latentShape(work)), work, data);
    graph.output(x, 'tokens', outputShape(work));
    return { variant: kind, bytes: graph.bytes(), outputs: { tokens: outputShape(work) } };
  });
}

function captionModels(work: CaptionWork, data: Data): Model[] {
  return products.map((kind) => {
    const graph = new OnnxGraph();
    const shape = [work.batch, work.tokens, work.inFeatures];
    const x = captionProjection(graph, kind, graph.input('caption', shape), work, data);
    graph.output(x, 'caption_embeds', outputShape(work));
    return { variant: kind, bytes: graph.bytes(), outputs: { caption_embeds: outputShape(work) } };
  });
}

function timestepModels(work: TimestepWork, data: Data): Model[] {
  return products.map((kind) => {
    const graph = new OnnxGraph();
    const x = timestepMlp(graph, kind, graph.input('sample', [work.rows, work.inFeatures]), data);
    graph.output(x, 'embedding', outputShape(work));
    return { variant: kind, bytes: graph.bytes(), outputs: { embedding: outputShape(work) } };
  });
}

/** Sinusoid, embedder and modulation of some timesteps. The outputs have the product's names. */
function modulationOf(
  graph: OnnxGraph,
  timesteps: number,
  dim: number,
  data: Data,
): Record<string, number[]> {
  const timestep = graph.input('timestep', [timesteps]);
  const embedded = timestepMlp(
    graph,
    'Gemm',
    sinusoid(graph, timestep, timesteps),
    data,
    'adaln_single.emb.timestep_embedder.',
  );
  const outputs = { modulation: [timesteps, 6 * dim], embedded_timestep: [timesteps, dim] };
  const modulation = linear(graph, 'Gemm', silu(graph, embedded), data, 'adaln_single.linear');
  graph.output(modulation, 'modulation', outputs.modulation);
  graph.output(embedded, 'embedded_timestep', outputs.embedded_timestep);
  return outputs;
}

function captionOf(graph: OnnxGraph, work: CaptionWork, data: Data): Record<string, number[]> {
  const caption = graph.input('caption', [work.batch, work.tokens, work.inFeatures]);
  const embeds = captionProjection(graph, 'MatMul', caption, work, data, 'caption_projection.');
  const outputs = { caption_embeds: outputShape(work) };
  graph.output(embeds, 'caption_embeds', outputs.caption_embeds);
  return outputs;
}

function latentOf(graph: OnnxGraph, work: PatchWork, data: Data): Record<string, number[]> {
  const latent = graph.input('latent', latentShape(work));
  const outputs = { tokens: outputShape(work) };
  const tokens = patchEmbed(graph, 'patchify + MatMul', latent, work, data, 'pos_embed.');
  graph.output(tokens, 'tokens', outputs.tokens);
  return outputs;
}

/** The conditioning of one denoising step, with everything computed in that step. */
function conditioningModels({ patch, caption }: ConditioningWork, data: Data): Model[] {
  const graph = new OnnxGraph();
  const outputs = {
    ...latentOf(graph, patch, data),
    ...captionOf(graph, caption, data),
    ...modulationOf(graph, caption.batch, patch.dim, data),
  };
  return [{ variant: 'one graph a step', bytes: graph.bytes(), outputs }];
}

/**
 * The same as two graphs: one that runs once a prompt, like `prepare`, and one for each step, like
 * `embedLatent`.
 */
export function runModels(
  { patch, caption, steps }: ConditioningWork,
  data: Data,
): [once: Model, step: Model] {
  const once = new OnnxGraph();
  const prepared = {
    ...captionOf(once, caption, data),
    ...modulationOf(once, steps, patch.dim, data),
  };
  const step = new OnnxGraph();
  const outputs = latentOf(step, patch, data);
  return [
    { variant: 'once a prompt', bytes: once.bytes(), outputs: prepared },
    { variant: 'once a step', bytes: step.bytes(), outputs },
  ];
}

/** Every graph that might be the fastest for this work. */
export function modelsOf(work: Work, data: Data): Model[] {
  switch (work.layer) {
    case 'PatchEmbed':
      return patchModels(work, data);
    case 'CaptionProjection':
      return captionModels(work, data);
    case 'TimestepEmbedding':
      return timestepModels(work, data);
    case 'Conditioning':
      return conditioningModels(work, data);
    case 'Family':
      return familyModels(work, data);
  }
}
