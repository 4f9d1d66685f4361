import type { Case } from './run.js';

/** The sizes of Latte-XL's layers at 512×512 with 16 frames and guidance, and smaller ones. */
type LatteCase = Pick<Case, 'op' | 'options'> & { inputs: Readonly<Record<string, number[]>> };

const patch = { height: 64, width: 64, patchSize: 2, inChannels: 4, embedDim: 1152 };

/**
 * Each case has three uses. `full-size.ts` and `cases.ts` compare its results on every device.
 * `scripts/verify-on-npu.sh` runs it on hardware. `bench/cases` measures it under this name.
 */
export const latteCases = {
  'patch-32': { op: 'PatchEmbed', options: patch, inputs: { latent: [32, 4, 64, 64] } },
  'patch-32-norm': {
    op: 'PatchEmbed',
    options: { ...patch, layerNorm: true },
    inputs: { latent: [32, 4, 64, 64] },
  },
  'patch-2': {
    op: 'PatchEmbed',
    options: { ...patch, height: 128, width: 128 },
    inputs: { latent: [2, 4, 128, 128] },
  },
  'patch-1': { op: 'PatchEmbed', options: patch, inputs: { latent: [1, 4, 64, 64] } },
  'caption-120': {
    op: 'CaptionProjection',
    options: { inFeatures: 4096, hiddenSize: 1152 },
    inputs: { caption: [2, 120, 4096] },
  },
  'timestep-2': {
    op: 'TimestepEmbedding',
    options: { inChannels: 256, timeEmbedDim: 1152 },
    inputs: { sample: [2, 256] },
  },
} satisfies Record<string, LatteCase>;
