import type { Array32, Data } from '../data.js';
import type { OnnxGraph } from './onnx-graph.js';

export interface Model {
  variant: string;
  bytes: Uint8Array;
  outputs: Record<string, number[]>;
}

/** Transposes a matrix [rows, columns]. */
export function transposed({ data }: Array32, rows: number, columns: number): Array32 {
  const result = new Float32Array(data.length);
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < columns; c++) result[c * rows + r] = data[r * columns + c]!;
  }
  return { data: result, shape: [columns, rows] };
}

export type Product = 'Gemm' | 'MatMul';

/** x·Wᵀ + b. Gemm takes the weights as they are stored; for MatMul they are transposed beforehand. */
export function linear(
  graph: OnnxGraph,
  kind: Product,
  x: string,
  data: Data,
  name: string,
): string {
  const weight = data.weights[`${name}.weight`]!;
  const bias = graph.floats(data.weights[`${name}.bias`]!);
  if (kind === 'Gemm') {
    return graph.node('Gemm', [x, graph.floats(weight), bias], { transB: 1 });
  }
  const [rows, columns] = weight.shape as [number, number];
  const product = graph.node('MatMul', [x, graph.floats(transposed(weight, rows, columns))]);
  return graph.node('Add', [product, bias]);
}

export function silu(graph: OnnxGraph, x: string): string {
  return graph.node('Mul', [x, graph.node('Sigmoid', [x])]);
}

export function timestepMlp(
  graph: OnnxGraph,
  kind: Product,
  x: string,
  data: Data,
  prefix = '',
): string {
  const hidden = silu(graph, linear(graph, kind, x, data, `${prefix}linear_1`));
  return linear(graph, kind, hidden, data, `${prefix}linear_2`);
}

/** [cos | sin] of the timesteps, with 256 channels. */
export function sinusoid(graph: OnnxGraph, timestep: string, batch: number): string {
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

export const products: Product[] = ['Gemm', 'MatMul'];
