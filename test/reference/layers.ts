import { add, concatColumns, converted, reshape, stored, takeRows, type Approx } from './array.js';
import { activation, linear } from './linear.js';
import type { Float } from './rounding.js';
import { timestepEmbedding, type TimestepOptions } from './timesteps.js';

/** A layer's parameters by their names in a state dict, as exact values. */
export type Weights = Readonly<Record<string, Approx>>;

/** The linear layer `name` of a state dict; its result is stored in the dtype. */
function project(x: Approx, weights: Weights, name: string, dtype: Float): Approx {
  return stored(linear(x, weights[`${name}.weight`]!, weights[`${name}.bias`]), dtype);
}

function activate(x: Approx, name: string, dtype: Float): Approx {
  return stored(activation(x, name), dtype);
}

/** The weights whose names begin with a prefix, with the prefix removed. */
function below(weights: Weights, prefix: string): Weights {
  return Object.fromEntries(
    Object.entries(weights)
      .filter(([name]) => name.startsWith(`${prefix}.`))
      .map(([name, value]) => [name.slice(prefix.length + 1), value]),
  );
}

export interface TimestepEmbeddingOptions {
  inChannels: number;
  timeEmbedDim: number;
  actFn?: string;
  outDim?: number;
  postActFn?: string;
  condProjDim?: number;
  sampleProjBias?: boolean;
}

/**
 * linear_1 → activation → linear_2 [→ post activation]. `cond_proj` of a condition is added to the sample
 * first.
 */
export function timestepMlp(
  options: Pick<TimestepEmbeddingOptions, 'actFn' | 'postActFn'>,
  weights: Weights,
  sample: Approx,
  condition: Approx | undefined,
  dtype: Float,
): Approx {
  let x = sample;
  if (condition !== undefined)
    x = stored(add(x, project(condition, weights, 'cond_proj', dtype)), dtype);
  x = project(x, weights, 'linear_1', dtype);
  x = activate(x, options.actFn ?? 'silu', dtype);
  x = project(x, weights, 'linear_2', dtype);
  return options.postActFn === undefined ? x : activate(x, options.postActFn, dtype);
}

/** The sinusoids that embedders take: 256 channels, cosines first, cast to the hidden dtype. */
const embedderInput: TimestepOptions = { flipSinToCos: true, downscaleFreqShift: 0 };

function embed(
  values: ArrayLike<number>,
  weights: Weights,
  name: string,
  dtype: Float,
  hidden: Float,
): Approx {
  let x = stored(timestepEmbedding(values, 256, embedderInput), hidden);
  if (hidden !== dtype) x = stored(x, dtype);
  return timestepMlp({}, below(weights, name), x, undefined, dtype);
}

export interface CombinedOptions {
  embeddingDim: number;
  sizeEmbDim: number;
  useAdditionalConditions?: boolean;
}

export interface CombinedInput {
  timestep: Approx;
  resolution?: Approx;
  aspectRatio?: Approx;
  batchSize?: number;
  hiddenDtype?: Float;
}

/** Rows a, b, a, b … until there are `batchSize`. */
function tile(size: Approx, batchSize: number): Approx {
  const [rows, columns] =
    size.shape.length === 1 ? [size.shape[0]!, 1] : (size.shape as [number, number]);
  const matrix = reshape(size, [rows, columns]);
  if (rows === batchSize) return matrix;
  const height = rows * Math.floor(batchSize / rows);
  if (height !== batchSize) {
    throw new Error(`\`batch_size\` should be ${height} but found ${batchSize}.`);
  }
  return takeRows(
    matrix,
    Array.from({ length: height }, (_, i) => i % rows),
  );
}

/** CombinedTimestepSizeEmbeddings, stored in the layer's dtype. */
export function combined(
  options: CombinedOptions,
  weights: Weights,
  input: CombinedInput,
  dtype: Float,
): Approx {
  const hidden = input.hiddenDtype ?? dtype;
  const time = embed(input.timestep.value, weights, 'timestep_embedder', dtype, hidden);
  if (!options.useAdditionalConditions) return finish(time, dtype, hidden);
  const steps = input.timestep.value.length;
  const batch = input.batchSize ?? (steps === 1 ? input.resolution!.shape[0]! : steps);
  const parts = [
    ['resolution_embedder', tile(input.resolution!, batch)] as const,
    ['aspect_ratio_embedder', tile(input.aspectRatio!, batch)] as const,
  ].map(([name, size]) =>
    reshape(embed(size.value, weights, name, dtype, hidden), [
      batch,
      size.shape[1]! * options.sizeEmbDim,
    ]),
  );
  // Rows broadcast: one timestep to all rows of sizes, one row of sizes to all timesteps.
  const broadcast = (rows: Approx, to: number): Approx =>
    rows.shape[0] === 1 ? takeRows(rows, new Array<number>(to).fill(0)) : rows;
  const sizes = broadcast(concatColumns(parts[0]!, parts[1]!), steps);
  const sum = add(broadcast(time, batch), sizes);
  return finish(stored(sum, dtype), dtype, hidden);
}

function finish(x: Approx, dtype: Float, hidden: Float): Approx {
  return hidden === dtype ? x : stored(x, hidden);
}

/** linear_1, GELU (tanh form), linear_2 over the last axis, with any leading axes. */
export function captionProjection(weights: Weights, caption: Approx, dtype: Float): Approx {
  const hidden = project(converted(caption, dtype), weights, 'linear_1', dtype);
  return project(activate(hidden, 'gelu-tanh', dtype), weights, 'linear_2', dtype);
}

/** AdaLayerNormSingle: { modulation: linear(silu(e)) [B, 6D], embeddedTimestep: e [B, D] }. */
export function adaLayerNormSingle(
  options: { embeddingDim: number; useAdditionalConditions?: boolean; numModParams?: number },
  weights: Weights,
  input: CombinedInput,
  dtype: Float,
): { modulation: Approx; embeddedTimestep: Approx } {
  const hidden = input.hiddenDtype ?? dtype;
  const inner: CombinedOptions = { ...options, sizeEmbDim: Math.floor(options.embeddingDim / 3) };
  const embedded = combined(inner, below(weights, 'emb'), { ...input, hiddenDtype: hidden }, dtype);
  const modulation = project(activate(embedded, 'silu', dtype), weights, 'linear', dtype);
  return { modulation: finish(modulation, dtype, hidden), embeddedTimestep: embedded };
}

/** The names and shapes of the layers' parameters, as the reference (diffusers) has them. */
export function mlpParameters(
  prefix: string,
  ins: number,
  inner: number,
  outs: number,
  bias = true,
): [string, number[]][] {
  const names: [string, number[]][] = [
    [`${prefix}linear_1.weight`, [inner, ins]],
    [`${prefix}linear_2.weight`, [outs, inner]],
  ];
  if (bias) names.push([`${prefix}linear_1.bias`, [inner]], [`${prefix}linear_2.bias`, [outs]]);
  return names;
}

export function combinedParameters(prefix: string, options: CombinedOptions): [string, number[]][] {
  const { embeddingDim, sizeEmbDim } = options;
  const names = mlpParameters(`${prefix}timestep_embedder.`, 256, embeddingDim, embeddingDim);
  if (!options.useAdditionalConditions) return names;
  return [
    ...names,
    ...mlpParameters(`${prefix}resolution_embedder.`, 256, sizeEmbDim, sizeEmbDim),
    ...mlpParameters(`${prefix}aspect_ratio_embedder.`, 256, sizeEmbDim, sizeEmbDim),
  ];
}
