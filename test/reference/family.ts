import {
  add,
  converted,
  exact,
  pick,
  reshape,
  sizeOf,
  stored,
  takeRows,
  type Approx,
} from './array.js';
import { activation, layerNorm, linear } from './linear.js';
import { mlpParameters, type Weights } from './layers.js';
import type { Float } from './rounding.js';
import { sincosFromGrid } from './sincos.js';
import { timestepEmbedding, type TimestepOptions } from './timesteps.js';

// The layers of the sibling transformers, as diffusers computes them.

export type Parameters = [string, number[]][];

/** The shapes of `<name>weight` and `<name>bias`. */
export function linearParameters(name: string, ins: number, outs: number, bias = true): Parameters {
  const weight: Parameters = [[`${name}weight`, [outs, ins]]];
  return bias ? [...weight, [`${name}bias`, [outs]]] : weight;
}

export function project(x: Approx, weights: Weights, name: string, dtype: Float): Approx {
  return stored(linear(x, weights[`${name}weight`]!, weights[`${name}bias`]), dtype);
}

function activate(x: Approx, name: string, dtype: Float): Approx {
  return stored(activation(x, name), dtype);
}

/** linear_1, activation, linear_2. */
export function mlp(x: Approx, weights: Weights, name: string, act: string, dtype: Float): Approx {
  const hidden = activate(project(x, weights, `${name}linear_1.`, dtype), act, dtype);
  return project(hidden, weights, `${name}linear_2.`, dtype);
}

/** Embeds the sinusoids of numbers, with the casts to the hidden dtype and to the layer's. */
function embed(
  numbers: Approx,
  weights: Weights,
  name: string,
  dtype: Float,
  hidden: Float = dtype,
  { channels = 256, ...options }: TimestepOptions & { channels?: number } = {},
): Approx {
  const flipped = { flipSinToCos: true, downscaleFreqShift: 0, ...options };
  let x = stored(timestepEmbedding(numbers.value, channels, flipped), hidden);
  if (hidden !== dtype) x = stored(x, dtype);
  return mlp(x, weights, name, 'silu', dtype);
}

/** The sum of embeddings. An embedding of one row is added to all rows. */
function sum(terms: readonly Approx[], dtype: Float): Approx {
  const rows = terms.find(({ shape }) => shape[0] !== 1)?.shape[0] ?? 1;
  return terms
    .map((term) =>
      term.shape[0] === rows ? term : takeRows(term, new Array<number>(rows).fill(0)),
    )
    .reduce((a, b) => stored(add(a, b), dtype));
}

function hiddenResult(x: Approx, dtype: Float, hidden: Float): Approx {
  return hidden === dtype ? x : stored(x, hidden);
}

function modulation(embedded: Approx, weights: Weights, name: string, dtype: Float): Approx {
  return project(activate(embedded, 'silu', dtype), weights, name, dtype);
}

export const textParameters = (dim: number, pooled: number, guidance: boolean): Parameters => [
  ...mlpParameters('timestep_embedder.', 256, dim, dim),
  ...(guidance ? mlpParameters('guidance_embedder.', 256, dim, dim) : []),
  ...mlpParameters('text_embedder.', pooled, dim, dim),
];

export function combinedText(
  weights: Weights,
  input: { timestep: Approx; pooledProjection: Approx; guidance?: Approx },
  dtype: Float,
): Approx {
  const terms = [embed(input.timestep, weights, 'timestep_embedder.', dtype)];
  if (input.guidance !== undefined)
    terms.push(embed(input.guidance, weights, 'guidance_embedder.', dtype));
  const text = converted(input.pooledProjection, dtype);
  return sum([...terms, mlp(text, weights, 'text_embedder.', 'silu', dtype)], dtype);
}

export const sanaParameters = (dim: number): Parameters => [
  ...mlpParameters('timestep_embedder.', 256, dim, dim),
  ...mlpParameters('guidance_embedder.', 256, dim, dim),
  ...linearParameters('linear.', dim, 6 * dim),
];

export function sana(
  weights: Weights,
  { timestep, guidance }: { timestep: Approx; guidance: Approx },
  dtype: Float,
  hidden: Float,
): Approx[] {
  const terms = [
    embed(timestep, weights, 'timestep_embedder.', dtype, hidden),
    embed(guidance, weights, 'guidance_embedder.', dtype, hidden),
  ];
  const embedded = hiddenResult(sum(terms, dtype), dtype, hidden);
  return [hiddenResult(modulation(embedded, weights, 'linear.', dtype), dtype, hidden), embedded];
}

export const qwenParameters = (dim: number, added: boolean): Parameters => [
  ...mlpParameters('timestep_embedder.', 256, dim, dim),
  ...(added ? ([['addition_t_embedding.weight', [2, dim]]] as Parameters) : []),
];

export function qwen(
  weights: Weights,
  { timestep, additionTCond }: { timestep: Approx; additionTCond?: Approx },
  dtype: Float,
  hidden: Float,
): Approx {
  let x = embed(timestep, weights, 'timestep_embedder.', dtype, hidden, { scale: 1000 });
  if (additionTCond !== undefined) {
    const rows = takeRows(weights['addition_t_embedding.weight']!, [...additionTCond.value]);
    x = stored(add(x, rows), dtype);
  }
  return hiddenResult(x, dtype, hidden);
}

export interface WanOptions {
  dim: number;
  timeFreqDim: number;
  timeProjDim: number;
  textEmbedDim: number;
  imageEmbedDim?: number;
  posEmbedSeqLen?: number;
  timestepSeqLen?: number;
}

export function wanParameters(options: WanOptions): Parameters {
  const { dim, imageEmbedDim: image, posEmbedSeqLen: length } = options;
  const names: Parameters = [
    ...mlpParameters('time_embedder.', options.timeFreqDim, dim, dim),
    ...linearParameters('time_proj.', dim, options.timeProjDim),
    ...mlpParameters('text_embedder.', options.textEmbedDim, dim, dim),
  ];
  if (image === undefined) return names;
  names.push(
    ...linearParameters('image_embedder.ff.net.0.proj.', image, image),
    ...linearParameters('image_embedder.ff.net.2.', image, dim),
  );
  for (const [norm, width] of [
    ['norm1', image],
    ['norm2', dim],
  ] as const) {
    names.push(
      [`image_embedder.${norm}.weight`, [width]],
      [`image_embedder.${norm}.bias`, [width]],
    );
  }
  if (length !== undefined) names.push(['image_embedder.pos_embed', [1, length, image]]);
  return names;
}

export function wan(
  options: WanOptions,
  weights: Weights,
  input: { timestep: Approx; encoderHiddenStates: Approx; encoderHiddenStatesImage?: Approx },
  dtype: Float,
): Approx[] {
  const { dim, timeFreqDim: channels, timestepSeqLen: length } = options;
  const temb = embed(input.timestep, weights, 'time_embedder.', dtype, dtype, { channels });
  const projected = modulation(temb, weights, 'time_proj.', dtype);
  const count = input.timestep.value.length;
  const rows = length === undefined ? [count] : [count / length, length];
  const text = converted(input.encoderHiddenStates, dtype);
  const results = [
    reshape(temb, [...rows, dim]),
    reshape(projected, [...rows, options.timeProjDim]),
    mlp(text, weights, 'text_embedder.', 'gelu-tanh', dtype),
  ];
  if (input.encoderHiddenStatesImage === undefined) return results;
  let image = converted(input.encoderHiddenStatesImage, dtype);
  const table = weights['image_embedder.pos_embed'];
  if (table !== undefined) {
    const [b, s, k] = image.shape as [number, number, number];
    image = reshape(image, [b / 2, 2 * s, k]);
    const positions = pick(table, image.shape, (i) => i % table.value.length);
    image = stored(add(image, positions), dtype);
  }
  const norm = (x: Approx, name: string): Approx =>
    stored(
      layerNorm(
        x,
        1e-5,
        weights[`image_embedder.${name}.weight`],
        weights[`image_embedder.${name}.bias`],
      ),
      dtype,
    );
  const hidden = project(norm(image, 'norm1'), weights, 'image_embedder.ff.net.0.proj.', dtype);
  const states = project(
    activate(hidden, 'gelu', dtype),
    weights,
    'image_embedder.ff.net.2.',
    dtype,
  );
  return [...results, norm(states, 'norm2')];
}

/** The patches of a video [B, C, F, H, W] as rows [B, N, C·pt·ph·pw]. */
export function patches3d(latent: Approx, patch: readonly [number, number, number]): Approx {
  const [b, c, f, h, w] = latent.shape as [number, number, number, number, number];
  const [pt, ph, pw] = patch;
  const grid = [Math.floor(f / pt), Math.floor(h / ph), Math.floor(w / pw)] as const;
  const inner = [c, pt, ph, pw];
  const shape = [b, sizeOf(grid), sizeOf(inner)];
  return pick(latent, shape, (i) => {
    const [n, t, y, x, channel, dt, dy, dx] = unravel(i, [b, ...grid, ...inner]);
    const frame = t! * pt + dt!;
    return (((n! * c + channel!) * f + frame) * h + y! * ph + dy!) * w + x! * pw + dx!;
  });
}

function unravel(index: number, shape: readonly number[]): number[] {
  const place: number[] = [];
  for (const length of [...shape].reverse()) {
    place.unshift(index % length);
    index = Math.floor(index / length);
  }
  return place;
}

/** Projects patches that are rows, with a weight [D, C, …]. */
function projectPatches(rows: Approx, weights: Weights, dim: number, dtype: Float): Approx {
  const kernel = weights['proj.weight']!;
  const flat = { ...kernel, shape: [dim, kernel.value.length / dim] };
  return stored(linear(rows, flat, weights['proj.bias']), dtype);
}

export interface PatchEmbed3dOptions {
  patchSize: [number, number, number];
  inChannels: number;
  embedDim: number;
  bias?: boolean;
}

export function patchEmbed3d(
  { patchSize, embedDim }: PatchEmbed3dOptions,
  weights: Weights,
  latent: Approx,
  dtype: Float,
): Approx {
  return projectPatches(patches3d(converted(latent, dtype), patchSize), weights, embedDim, dtype);
}

/** The table [T, height·width, D], D a multiple of 16: [frame D/4 | column 3D/8 | row 3D/8]. */
export function sincos3d(
  dim: number,
  [width, height]: readonly [number, number],
  frames: number,
  spatialScale = 1,
  temporalScale = 1,
): Approx {
  const axis = (length: number, scale: number, columns: number): Float64Array =>
    sincosFromGrid(
      columns,
      Float64Array.from({ length }, (_, i) => Math.fround(i / Math.fround(scale))),
    ).value;
  const [quarter, rest] = [dim / 4, (3 * dim) / 8];
  const t = axis(frames, temporalScale, quarter);
  const x = axis(width, spatialScale, rest);
  const y = axis(height, spatialScale, rest);
  const values = new Float64Array(frames * height * width * dim);
  for (let row = 0; row < frames * height * width; row++) {
    const [f, j, i] = unravel(row, [frames, height, width]) as [number, number, number];
    values.set(t.subarray(f * quarter, (f + 1) * quarter), row * dim);
    values.set(x.subarray(i * rest, (i + 1) * rest), row * dim + quarter);
    values.set(y.subarray(j * rest, (j + 1) * rest), row * dim + quarter + rest);
  }
  return exact([frames, height * width, dim], values);
}

export interface CogVideoXOptions {
  patchSize: number;
  patchSizeT?: number;
  inChannels: number;
  embedDim: number;
  textEmbedDim: number;
  bias?: boolean;
  sampleWidth: number;
  sampleHeight: number;
  sampleFrames: number;
  temporalCompressionRatio: number;
  maxTextSeqLength: number;
  usePositionalEmbeddings?: boolean;
  useLearnedPositionalEmbeddings?: boolean;
}

export function cogVideoXParameters(options: CogVideoXOptions): Parameters {
  const { patchSize: p, patchSizeT: pt, inChannels: c, embedDim: d } = options;
  const names: Parameters = [
    ['proj.weight', pt === undefined ? [d, c, p, p] : [d, c * pt * p * p]],
    ...linearParameters('text_proj.', options.textEmbedDim, d),
  ];
  if (pt !== undefined || options.bias !== false) names.push(['proj.bias', [d]]);
  if (options.useLearnedPositionalEmbeddings === false) return names;
  const frames = Math.floor((options.sampleFrames - 1) / options.temporalCompressionRatio) + 1;
  const tokens =
    frames * Math.floor(options.sampleHeight / p) * Math.floor(options.sampleWidth / p);
  return [...names, ['pos_embedding', [1, options.maxTextSeqLength + tokens, d]]];
}

/** The table [L + N, D] that is added; undefined if none is. */
function cogVideoXTable(
  options: CogVideoXOptions,
  weights: Weights,
  [frames, height, width]: readonly [number, number, number],
): Approx | undefined {
  const { usePositionalEmbeddings: use = true, useLearnedPositionalEmbeddings: learned = true } =
    options;
  if (!use && !learned) return undefined;
  const sampled = (frames - 1) * options.temporalCompressionRatio + 1;
  if (learned && sampled === options.sampleFrames) return weights['pos_embedding'];
  const { patchSize: p, embedDim, maxTextSeqLength } = options;
  const grid = [Math.floor(width / p), Math.floor(height / p)] as const;
  const table = sincos3d(embedDim, grid, frames, 1.875, 1);
  const zeros = new Float64Array(maxTextSeqLength * embedDim);
  const values = Float64Array.from([...zeros, ...table.value]);
  return stored(exact([values.length / embedDim, embedDim], values), 'float32');
}

export function cogVideoXPatchEmbed(
  options: CogVideoXOptions,
  weights: Weights,
  { textEmbeds, imageEmbeds }: { textEmbeds: Approx; imageEmbeds: Approx },
  dtype: Float,
): Approx {
  const { patchSize: p, patchSizeT: pt = 1, embedDim: d } = options;
  const [b, f, c, h, w] = imageEmbeds.shape as [number, number, number, number, number];
  // [B, F, C, H, W] → [B, C, F, H, W].
  const latent = pick(converted(imageEmbeds, dtype), [b, c, f, h, w], (i) => {
    const [n, channel, frame, pixel] = unravel(i, [b, c, f, h * w]) as [
      number,
      number,
      number,
      number,
    ];
    return ((n * f + frame) * c + channel) * h * w + pixel;
  });
  const tokens = projectPatches(patches3d(latent, [pt, p, p]), weights, d, dtype);
  const text = project(converted(textEmbeds, dtype), weights, 'text_proj.', dtype);
  const [length, n] = [text.shape[1]!, tokens.shape[1]!];
  const all: Approx = {
    shape: [],
    value: Float64Array.from([...text.value, ...tokens.value]),
    sigma: Float64Array.from([...text.sigma, ...tokens.sigma]),
    bound: Float64Array.from([...text.bound, ...tokens.bound]),
  };
  const sequence = pick(all, [b, length + n, d], (i) => {
    const [sample, row, channel] = unravel(i, [b, length + n, d]) as [number, number, number];
    return row < length
      ? (sample * length + row) * d + channel
      : text.value.length + (sample * n + row - length) * d + channel;
  });
  const table = cogVideoXTable(options, weights, [f, h, w]);
  if (table === undefined) return sequence;
  const rounded = stored(table, dtype);
  const positions = pick(rounded, sequence.shape, (i) => i % ((length + n) * d));
  return stored(add(sequence, positions), dtype);
}
