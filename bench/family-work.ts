import { modelCases, optionsOf, type ModelCase } from '../test/parity/model-cases.js';
import { familyParameters } from '../test/parity/parameters-family.js';
import { patchEmbedParameters } from '../test/reference/patch-embed.js';
import { get3dSincosPosEmbed } from './product.js';
import { random, sizeOf, type Data } from './data.js';

/** What product and peers compute: a layer of a sibling transformer, at a model's own size. */
export interface FamilyWork extends ModelCase {
  layer: 'Family';
  id: ModelName;
}

export type ModelName = keyof typeof modelCases;

export function familyWork(id: ModelName): FamilyWork {
  return { layer: 'Family', id, ...(modelCases[id] as ModelCase) };
}

/** The numbers among a layer's options, which its ONNX graphs need. */
export function numbersOf({ options }: FamilyWork): Record<string, number> {
  return options as Record<string, number>;
}

function weightShapes(work: FamilyWork): [string, number[]][] {
  return work.op === 'PatchEmbed'
    ? patchEmbedParameters(optionsOf(work))
    : familyParameters[work.op](optionsOf(work));
}

const isWeight = (name: string): boolean => /(^|\.)weight$/.test(name);

/** Random weights that keep the variance of their input; those of norms are near one. */
export function familyData(work: FamilyWork): Data {
  const weights = weightShapes(work).map(([name, shape]) => {
    const norm = name.includes('norm');
    const fanIn = isWeight(name) && !norm ? sizeOf(shape.slice(1)) : 100;
    const array = random(name, shape, fanIn ** -0.5);
    if (norm && isWeight(name)) array.data.forEach((x, i) => (array.data[i] = 1 + x));
    return [name, array] as const;
  });
  const inputs = Object.entries(work.inputs).map(([name, { shape, values }]) => [
    name,
    values === undefined ? random(name, shape) : { data: Float32Array.from(values), shape },
  ]);
  return { weights: Object.fromEntries(weights), inputs: Object.fromEntries(inputs) as never };
}

/** The numbers of frames, rows and columns of patches. */
export function gridOf(work: FamilyWork): [frames: number, rows: number, columns: number] {
  const { patchSize } = work.options as { patchSize: number | [number, number, number] };
  switch (work.op) {
    case 'PatchEmbed3d': {
      const [, , frames, height, width] = work.inputs.latent!.shape;
      const [pt, ph, pw] = patchSize as [number, number, number];
      return [frames! / pt, height! / ph, width! / pw];
    }
    case 'CogVideoXPatchEmbed': {
      const [, frames, , height, width] = work.inputs.imageEmbeds!.shape;
      const p = patchSize as number;
      return [frames! / (numbersOf(work).patchSizeT ?? 1), height! / p, width! / p];
    }
    default: {
      const [, , height, width] = work.inputs.latent!.shape;
      return [1, height! / (patchSize as number), width! / (patchSize as number)];
    }
  }
}

/** The shapes of the results, by the product's names and in its order. */
export function familyOutputs(work: FamilyWork): Record<string, number[]> {
  const { inputs } = work;
  const o = numbersOf(work);
  const [first] = Object.values(inputs);
  const batch = first!.shape[0]!;
  switch (work.op) {
    case 'PatchEmbed':
    case 'PatchEmbed3d':
      return { tokens: [batch, sizeOf(gridOf(work)), o.embedDim!] };
    case 'CogVideoXPatchEmbed': {
      const length = inputs.textEmbeds!.shape[1]! + sizeOf(gridOf(work));
      return { tokens: [batch, length, o.embedDim!] };
    }
    case 'Linear':
      return { result: [...first!.shape.slice(0, -1), o.outFeatures!] };
    case 'PixArtAlphaTextProjection':
      return { result: [...first!.shape.slice(0, -1), o.hiddenSize!] };
    case 'CombinedTimestepTextProjEmbeddings':
    case 'CombinedTimestepGuidanceTextProjEmbeddings':
    case 'QwenTimestepProjEmbeddings':
      return { embedding: [batch, o.embeddingDim!] };
    case 'SanaCombinedTimestepGuidanceEmbeddings':
      return { modulation: [batch, 6 * o.embeddingDim!], embedded: [batch, o.embeddingDim!] };
    case 'WanTimeTextImageEmbedding': {
      const image = inputs.encoderHiddenStatesImage;
      const text = inputs.encoderHiddenStates!.shape;
      return {
        temb: [batch, o.dim!],
        timestepProj: [batch, o.timeProjDim!],
        text: [...text.slice(0, -1), o.dim!],
        ...(image === undefined ? {} : { image: [...image.shape.slice(0, -1), o.dim!] }),
      };
    }
  }
}

/** The table [L + N or N, D] that is added to the tokens; undefined if there is none. */
export function familyPositions(
  work: FamilyWork,
  data: Data,
): Float32Array<ArrayBuffer> | undefined {
  const [frames, rows, columns] = gridOf(work);
  const o = numbersOf(work);
  const dim = o.embedDim!;
  if (work.op === 'CogVideoXPatchEmbed') {
    if (work.options.usePositionalEmbeddings === false) return undefined;
    const table = get3dSincosPosEmbed(dim, [columns, rows], frames, {
      spatialInterpolationScale: o.spatialInterpolationScale,
      temporalInterpolationScale: o.temporalInterpolationScale,
      dtype: 'float32',
    });
    const text = o.maxTextSeqLength! * dim;
    const whole = new Float32Array(text + table.size);
    whole.set(table.toFloat32Array(), text);
    table.dispose();
    return whole;
  }
  const stored = data.weights.pos_embed;
  if (stored === undefined) return undefined;
  const side = o.posEmbedMaxSize!;
  const [top, left] = [(side - rows) >> 1, (side - columns) >> 1];
  const crop = new Float32Array(rows * columns * dim);
  for (let row = 0; row < rows; row++) {
    const from = ((top + row) * side + left) * dim;
    crop.set(stored.data.subarray(from, from + columns * dim), row * columns * dim);
  }
  return crop;
}

/** Multiplications and additions of the matrix products: two for each row of tokens and each weight. */
export function familyOperations(work: FamilyWork, data: Data): number {
  const rowsOf = (name: string): number => {
    const { inputs } = work;
    const tokens = (input: string): number => sizeOf(inputs[input]!.shape.slice(0, -1));
    if (name.startsWith('proj.')) return inputsBatch(work) * sizeOf(gridOf(work));
    if (name.startsWith('text_proj.')) return tokens('textEmbeds');
    if (name.startsWith('image_embedder.')) return tokens('encoderHiddenStatesImage');
    if (work.op === 'WanTimeTextImageEmbedding' && name.startsWith('text_embedder.')) {
      return tokens('encoderHiddenStates');
    }
    if (work.op === 'Linear') return tokens('input');
    if (work.op === 'PixArtAlphaTextProjection') return tokens('caption');
    return inputsBatch(work);
  };
  return Object.entries(data.weights)
    .filter(([name, { shape }]) => isWeight(name) && shape.length > 1)
    .reduce((sum, [name, { shape }]) => sum + 2 * rowsOf(name) * sizeOf(shape), 0);
}

function inputsBatch({ inputs }: FamilyWork): number {
  return Object.values(inputs)[0]!.shape[0]!;
}
