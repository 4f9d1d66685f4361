import { latteCases } from '../test/parity/latte-cases.js';
import { linear, random, sizeOf, type Data } from './data.js';
import { familyData, type FamilyWork } from './family-work.js';
import { get2dSincosPosEmbed } from './product.js';

/** What product and peers compute in a case: a layer of Latte-XL's kind, or of a sibling's. */
export type Work = PatchWork | CaptionWork | TimestepWork | ConditioningWork | FamilyWork;

export interface PatchWork {
  layer: 'PatchEmbed';
  batch: number;
  channels: number;
  height: number;
  width: number;
  patch: number;
  dim: number;
  layerNorm: boolean;
}

export interface CaptionWork {
  layer: 'CaptionProjection';
  batch: number;
  tokens: number;
  inFeatures: number;
  dim: number;
}

export interface TimestepWork {
  layer: 'TimestepEmbedding';
  rows: number;
  inFeatures: number;
  dim: number;
}

/** The whole conditioning of a denoising step: patches of the frames, caption and timestep. */
export interface ConditioningWork {
  layer: 'Conditioning';
  steps: number;
  patch: PatchWork;
  caption: CaptionWork;
}

/** A case of the parity table, in the form that peers take. */
export function workOf(id: keyof typeof latteCases): PatchWork | CaptionWork | TimestepWork {
  const one = latteCases[id];
  switch (one.op) {
    case 'PatchEmbed': {
      const { patchSize: patch, embedDim: dim } = one.options;
      const [batch, channels, height, width] = one.inputs.latent as [
        number,
        number,
        number,
        number,
      ];
      const layerNorm = 'layerNorm' in one.options && one.options.layerNorm;
      return { layer: 'PatchEmbed', batch, channels, height, width, patch, dim, layerNorm };
    }
    case 'CaptionProjection': {
      const { inFeatures, hiddenSize: dim } = one.options;
      const [batch, tokens] = one.inputs.caption as [number, number, number];
      return { layer: 'CaptionProjection', batch, tokens, inFeatures, dim };
    }
    case 'TimestepEmbedding': {
      const { inChannels: inFeatures, timeEmbedDim: dim } = one.options;
      const [rows] = one.inputs.sample as [number, number];
      return { layer: 'TimestepEmbedding', rows, inFeatures, dim };
    }
  }
}

export function latentShape({ batch, channels, height, width }: PatchWork): number[] {
  return [batch, channels, height, width];
}

export function tokensOf({ height, width, patch }: PatchWork): [rows: number, columns: number] {
  return [Math.floor(height / patch), Math.floor(width / patch)];
}

export function outputShape(work: PatchWork | CaptionWork | TimestepWork): number[] {
  switch (work.layer) {
    case 'PatchEmbed':
      return [work.batch, sizeOf(tokensOf(work)), work.dim];
    case 'CaptionProjection':
      return [work.batch, work.tokens, work.dim];
    case 'TimestepEmbedding':
      return [work.rows, work.dim];
  }
}

/** The position table [N, D] that PatchEmbed adds; peers get it as a constant. */
export function positionTable(work: PatchWork): Float32Array<ArrayBuffer> {
  const grid = tokensOf(work);
  const table = get2dSincosPosEmbed(work.dim, grid, { baseSize: grid[0] });
  const copy = Float32Array.from(table.toFloat32Array());
  table.dispose();
  return copy;
}

/** Evenly spaced timesteps from 999 on, as a sampler requests them. */
export function timestepsOf({ steps }: ConditioningWork): number[] {
  return Array.from({ length: steps }, (_, i) => Math.round(999 * (1 - i / steps)));
}

export function dataOf(work: Work): Data {
  switch (work.layer) {
    case 'Family':
      return familyData(work);
    case 'PatchEmbed':
      return {
        weights: linear('proj', work.dim, work.channels, work.patch, work.patch),
        inputs: { latent: random('latent', latentShape(work)) },
      };
    case 'CaptionProjection':
      return {
        weights: {
          ...linear('linear_1', work.dim, work.inFeatures),
          ...linear('linear_2', work.dim, work.dim),
        },
        inputs: { caption: random('caption', [work.batch, work.tokens, work.inFeatures]) },
      };
    case 'TimestepEmbedding':
      return {
        weights: {
          ...linear('linear_1', work.dim, work.inFeatures),
          ...linear('linear_2', work.dim, work.dim),
        },
        inputs: { sample: random('sample', [work.rows, work.inFeatures]) },
      };
    case 'Conditioning': {
      const { patch, caption } = work;
      const embedder = 'adaln_single.emb.timestep_embedder';
      return {
        weights: {
          ...linear('pos_embed.proj', patch.dim, patch.channels, patch.patch, patch.patch),
          ...linear(`${embedder}.linear_1`, patch.dim, 256),
          ...linear(`${embedder}.linear_2`, patch.dim, patch.dim),
          ...linear('adaln_single.linear', 6 * patch.dim, patch.dim),
          ...linear('caption_projection.linear_1', patch.dim, caption.inFeatures),
          ...linear('caption_projection.linear_2', patch.dim, patch.dim),
        },
        inputs: {
          latent: random('latent', latentShape(patch)),
          caption: random('caption', [caption.batch, caption.tokens, caption.inFeatures]),
          timestep: {
            data: new Float32Array(caption.batch).fill(timestepsOf(work)[0]!),
            shape: [caption.batch],
          },
        },
      };
    }
  }
}
