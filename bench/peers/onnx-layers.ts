import {
  latentShape,
  outputShape,
  positionTable,
  sizeOf,
  tokensOf,
  type Array32,
  type CaptionWork,
  type ConditioningWork,
  type Data,
  type PatchWork,
  type TimestepWork,
  type Work,
} from '../work.js';
import { OnnxGraph } from './onnx-graph.js';

export interface Model {
  variant: string;
  bytes: Uint8Array;
  outputs: Record<string, number[]>;
}

/** [rows, columns] → [columns, rows]. */
function transposed({ data }: Array32, rows: number, columns: number): Array32 {
  const result = new Float32Array(data.length);
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < columns; c++) result[c * rows + r] = data[r * columns + c]!;
  }
  return { data: result, shape: [columns, rows] };
}

type Product = 'Gemm' | 'MatMul';

/** x·Wᵀ + b; Gemm takes the weights as they are stored, MatMul has them transposed beforehand. */
function linear(graph: OnnxGraph, kind: Product, x: string, data: Data, name: string): string {
  const weight = data.weights[`${name}.weight`]!;
  const bias = graph.floats(data.weights[`${name}.bias`]!);
  if (kind === 'Gemm') {
    return graph.node('Gemm', [x, graph.floats(weight), bias], { transB: 1 });
  }
  const [rows, columns] = weight.shape as [number, number];
  const product = graph.node('MatMul', [x, graph.floats(transposed(weight, rows, columns))]);
  return graph.node('Add', [product, bias]);
}

function silu(graph: OnnxGraph, x: string): string {
  return graph.node('Mul', [x, graph.node('Sigmoid', [x])]);
}

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
      // One addition instead of two, so that the peer runs its fastest graph.
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

function timestepMlp(graph: OnnxGraph, kind: Product, x: string, data: Data, prefix = ''): string {
  const hidden = silu(graph, linear(graph, kind, x, data, `${prefix}linear_1`));
  return linear(graph, kind, hidden, data, `${prefix}linear_2`);
}

/** [cos | sin] of the timesteps, 256 channels. */
function sinusoid(graph: OnnxGraph, timestep: string, batch: number): string {
  const frequencies = Float32Array.from({ length: 128 }, (_, i) =>
    Math.exp((-Math.log(10000) * i) / 128),
  );
  const angles = graph.node('Mul', [
    graph.reshape(timestep, [batch, 1]),
    graph.floats({ data: frequencies, shape: [1, 128] }),
  ]);
  return graph.node('Concat', [graph.node('Cos', [angles]), graph.node('Sin', [angles])], {
    axis: 1,
  });
}

const products: Product[] = ['Gemm', 'MatMul'];

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

/** The whole conditioning of one denoising step. */
function conditioningModels({ patch, caption }: ConditioningWork, data: Data): Model[] {
  const graph = new OnnxGraph();
  const latent = graph.input('latent', latentShape(patch));
  const captions = graph.input('caption', [caption.batch, caption.tokens, caption.inFeatures]);
  const timestep = graph.input('timestep', [caption.batch]);
  const tokens = patchEmbed(graph, 'patchify + MatMul', latent, patch, data, 'pos_embed.');
  const embeds = captionProjection(graph, 'MatMul', captions, caption, data, 'caption_projection.');
  const embedded = timestepMlp(
    graph,
    'Gemm',
    sinusoid(graph, timestep, caption.batch),
    data,
    'adaln_single.emb.timestep_embedder.',
  );
  const modulation = linear(graph, 'Gemm', silu(graph, embedded), data, 'adaln_single.linear');
  const outputs = {
    tokens: [patch.batch, sizeOf(tokensOf(patch)), patch.dim],
    caption_embeds: [caption.batch, caption.tokens, caption.dim],
    modulation: [caption.batch, 6 * patch.dim],
    embedded_timestep: [caption.batch, patch.dim],
  };
  graph.output(tokens, 'tokens', outputs.tokens);
  graph.output(embeds, 'caption_embeds', outputs.caption_embeds);
  graph.output(modulation, 'modulation', outputs.modulation);
  graph.output(embedded, 'embedded_timestep', outputs.embedded_timestep);
  return [{ variant: 'one graph a step', bytes: graph.bytes(), outputs }];
}

/** All graphs that may be the fastest one for this work. */
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
  }
}
