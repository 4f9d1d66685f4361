import { add, converted, exact, pick, stored, type Approx } from './array.js';
import type { Weights } from './layers.js';
import { layerNorm, linear } from './linear.js';
import type { Float } from './rounding.js';
import { sincos2d } from './sincos.js';

export interface PatchEmbedOptions {
  height?: number;
  width?: number;
  patchSize?: number;
  inChannels?: number;
  embedDim?: number;
  layerNorm?: boolean;
  flatten?: boolean;
  bias?: boolean;
  interpolationScale?: number;
  posEmbedType?: 'sincos' | null;
  posEmbedMaxSize?: number;
}

/** The options with the reference's defaults filled in. */
export function withDefaults(
  options: PatchEmbedOptions,
): Required<Omit<PatchEmbedOptions, 'posEmbedMaxSize'>> & PatchEmbedOptions {
  return {
    height: 224,
    width: 224,
    patchSize: 16,
    inChannels: 3,
    embedDim: 768,
    layerNorm: false,
    flatten: true,
    bias: true,
    interpolationScale: 1,
    posEmbedType: 'sincos',
    ...options,
  };
}

/** The table [rows, D] that is added to h×w tokens; `loaded` is a `pos_embed` of the state dict. */
export function positionTable(
  options: PatchEmbedOptions,
  h: number,
  w: number,
  loaded?: Approx,
): Approx {
  const { height, width, patchSize, embedDim, interpolationScale } = withDefaults(options);
  if (options.posEmbedType === null) {
    const columns = options.flatten === false ? 1 : embedDim;
    return exact([1, columns], new Float64Array(columns));
  }
  const { posEmbedMaxSize: side } = options;
  if (side !== undefined) {
    const [top, left] = [Math.floor((side - h) / 2), Math.floor((side - w) / 2)];
    return pick(loaded!, [h * w, embedDim], (i) => {
      const [row, channel] = [Math.floor(i / embedDim), i % embedDim];
      const from = (top + Math.floor(row / w)) * side + left + (row % w);
      return from * embedDim + channel;
    });
  }
  const baseSize = Math.floor(height / patchSize);
  const configured = [baseSize, Math.floor(width / patchSize)];
  if (h === configured[0] && w === configured[1]) {
    if (loaded !== undefined) return { ...loaded, shape: loaded.shape.slice(1) };
    const side = Math.floor(Math.sqrt(h * w));
    // If the square table neither fits nor broadcasts, the reference must fail.
    if (side * side === h * w || side === 1) {
      return stored(sincos2d(embedDim, side, { interpolationScale, baseSize }), 'float32');
    }
  }
  return stored(sincos2d(embedDim, [h, w], { interpolationScale, baseSize }), 'float32');
}

/** One patch as a row, in the order of the weight [D, C, p, p]: channel, row, column. */
function patch(latent: Approx, p: number, b: number, i: number, j: number): number[] {
  const [, channels, height, width] = latent.shape as [number, number, number, number];
  const out: number[] = [];
  for (let c = 0; c < channels; c++) {
    for (let y = i * p; y < (i + 1) * p; y++) {
      for (let x = j * p; x < (j + 1) * p; x++) {
        out.push(latent.value[((b * channels + c) * height + y) * width + x]!);
      }
    }
  }
  return out;
}

/** A token of the output: batch entry, and its number in h-major order. */
export type Token = readonly [batch: number, token: number];

/**
 * The flattened layer, for all tokens [B, N, D] or for some [tokens, D]. With `tableDtype` the table is
 * first rounded to it, as on an NPU without the plugin.
 */
export function patchEmbed(
  options: PatchEmbedOptions,
  weights: Weights,
  latentGiven: Approx,
  dtype: Float,
  tokens?: readonly Token[],
  tableDtype: Float = 'float32',
): Approx {
  const { patchSize: p, embedDim, ...rest } = withDefaults(options);
  const latent = converted(latentGiven, dtype);
  const [batch, , height, width] = latent.shape as [number, number, number, number];
  const h = Math.floor(height / p);
  const w = Math.floor(width / p);
  const all =
    tokens ??
    Array.from({ length: batch * h * w }, (_, i): Token => [Math.floor(i / (h * w)), i % (h * w)]);
  const kernel = weights['proj.weight']!;
  const columns = kernel.value.length / embedDim;
  const patches = all.flatMap(([b, n]) => patch(latent, p, b, Math.floor(n / w), n % w));
  const x = linear(
    exact([all.length, columns], patches),
    { ...kernel, shape: [embedDim, columns] },
    weights['proj.bias'],
  );
  const given = positionTable(options, h, w, weights['pos_embed']);
  const table = tableDtype === 'float32' ? given : stored(given, tableDtype);
  if (!rest.flatten)
    return addUnflattened(x, [batch, embedDim, h, w], table, rest.layerNorm, dtype);
  const normal = rest.layerNorm ? stored(layerNorm(stored(x, dtype)), dtype) : stored(x, dtype);
  const position = pick(table, normal.shape, (i) => {
    const row = table.shape[0] === 1 ? 0 : all[Math.floor(i / embedDim)]![1];
    return row * embedDim + (i % embedDim);
  });
  const sum = stored(add(normal, position), dtype);
  return {
    ...sum,
    shape: tokens === undefined ? [batch, h * w, embedDim] : [tokens.length, embedDim],
  };
}

/** Adds [B, D, h, w] and [1, N, D] by the rules of broadcasting. */
function addUnflattened(
  x: Approx,
  shape: readonly number[],
  table: Approx,
  norm: boolean,
  dtype: Float,
): Approx {
  const [batch, depth, h, w] = shape as [number, number, number, number];
  const [rows, columns] = table.shape as [number, number];
  const fits = (a: number, b: number): boolean => a === b || a === 1 || b === 1;
  if (!fits(h, rows) || !fits(w, columns) || (norm && w !== depth)) {
    throw new Error(`[${shape.join()}] and [1,${rows},${columns}] cannot be added`);
  }
  const pixels = h * w;
  const planes = pick(x, shape, (i) => {
    const [b, d, token] = [
      Math.floor(i / pixels / depth),
      Math.floor(i / pixels) % depth,
      i % pixels,
    ];
    return (b * pixels + token) * depth + d;
  });
  const normal = norm ? stored(layerNorm(stored(planes, dtype)), dtype) : stored(planes, dtype);
  const [oh, ow] = [Math.max(h, rows), Math.max(w, columns)];
  const out = [batch, depth, oh, ow];
  const spread = pick(normal, out, (i) => {
    const [plane, row, column] = [Math.floor(i / (oh * ow)), Math.floor(i / ow) % oh, i % ow];
    return (plane * h + (h === 1 ? 0 : row)) * w + (w === 1 ? 0 : column);
  });
  const position = pick(table, out, (i) => {
    const [row, column] = [Math.floor(i / ow) % oh, i % ow];
    return (rows === 1 ? 0 : row) * columns + (columns === 1 ? 0 : column);
  });
  return stored(add(spread, position), dtype);
}

/**
 * The names and shapes of parameters, as the reference has them; without `pos_embed`, which is optional.
 */
export function patchEmbedParameters(options: PatchEmbedOptions): [string, number[]][] {
  const { embedDim, inChannels, patchSize, bias } = withDefaults(options);
  const names: [string, number[]][] = [
    ['proj.weight', [embedDim, inChannels, patchSize, patchSize]],
  ];
  if (bias) names.push(['proj.bias', [embedDim]]);
  const { posEmbedMaxSize: side, posEmbedType } = options;
  if (side !== undefined && posEmbedType !== null)
    names.push(['pos_embed', [1, side * side, embedDim]]);
  return names;
}
