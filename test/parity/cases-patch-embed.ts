import { everyDtype } from './rows.js';
import type { Case } from './run.js';

const patch = { height: 8, width: 8, patchSize: 2, inChannels: 4, embedDim: 64 };

export const patchEmbedCases: readonly Case[] = everyDtype('PatchEmbed', [
  { note: 'the configured size', options: patch, inputs: { latent: [2, 4, 8, 8] } },
  { note: 'another size', options: patch, inputs: { latent: [1, 4, 8, 12] } },
  {
    note: 'one token',
    options: { ...patch, height: 2, width: 2 },
    inputs: { latent: [1, 4, 2, 2] },
  },
  { note: 'one token of a larger layer', options: patch, inputs: { latent: [3, 4, 2, 2] } },
  { note: 'no frames', options: patch, inputs: { latent: [0, 4, 8, 8] } },
  { note: 'D=4', options: { ...patch, embedDim: 4 }, inputs: { latent: [2, 4, 6, 10] } },
  { note: 'D=20', options: { ...patch, embedDim: 20 }, inputs: { latent: [1, 4, 8, 8] } },
  {
    note: 'D=52, 63 tokens',
    options: { ...patch, embedDim: 52 },
    inputs: { latent: [5, 4, 14, 18] },
  },
  { note: 'Latte width', options: { ...patch, embedDim: 1152 }, inputs: { latent: [2, 4, 4, 6] } },
  {
    note: 'K=1',
    options: { ...patch, patchSize: 1, inChannels: 1, embedDim: 12 },
    inputs: { latent: [2, 1, 3, 5] },
  },
  {
    note: 'K=9',
    options: { ...patch, patchSize: 3, inChannels: 1, embedDim: 28 },
    inputs: { latent: [2, 1, 9, 12] },
  },
  {
    note: 'K=16, p=1',
    options: { ...patch, patchSize: 1, inChannels: 16, embedDim: 36 },
    inputs: { latent: [1, 16, 8, 8] },
  },
  {
    note: 'K=768',
    options: { height: 32, width: 32, embedDim: 40 },
    inputs: { latent: [1, 3, 32, 48] },
  },
  {
    note: 'K=588',
    options: { height: 28, width: 28, patchSize: 14, embedDim: 64 },
    inputs: { latent: [2, 3, 28, 28] },
  },
  { note: 'without bias', options: { ...patch, bias: false }, inputs: { latent: [1, 4, 8, 8] } },
  {
    note: 'scale 1.5',
    options: { ...patch, interpolationScale: 1.5 },
    inputs: { latent: [1, 4, 8, 10] },
  },
  { note: 'layer norm', options: { ...patch, layerNorm: true }, inputs: { latent: [2, 4, 8, 8] } },
  {
    note: 'layer norm, D=20',
    options: { ...patch, embedDim: 20, layerNorm: true },
    inputs: { latent: [3, 4, 6, 10] },
  },
  {
    note: 'layer norm, D=4, no bias',
    options: { ...patch, embedDim: 4, layerNorm: true, bias: false },
    inputs: { latent: [1, 4, 8, 8] },
  },
  {
    note: 'layer norm, Latte width',
    options: { ...patch, embedDim: 1152, layerNorm: true },
    inputs: { latent: [1, 4, 4, 6] },
  },
  {
    note: 'layer norm, K=768',
    options: { height: 32, width: 32, embedDim: 72, layerNorm: true },
    inputs: { latent: [1, 3, 32, 32] },
  },
  { note: 'trailing pixels, configured tokens', options: patch, inputs: { latent: [1, 4, 9, 9] } },
  { note: 'trailing pixels, other tokens', options: patch, inputs: { latent: [2, 4, 7, 13] } },
  {
    note: '2×8 configured: a square table',
    options: { ...patch, height: 4, width: 16 },
    inputs: { latent: [2, 4, 4, 16] },
  },
  {
    note: '2×4 configured: no square, the table of the size',
    options: { ...patch, height: 4 },
    inputs: { latent: [2, 4, 4, 8] },
  },
  {
    note: '1×3 configured: one row for all',
    options: { ...patch, height: 2, width: 6 },
    inputs: { latent: [2, 4, 2, 6] },
  },
  {
    note: '2×1 configured: one row for all',
    options: { ...patch, height: 4, width: 2 },
    inputs: { latent: [1, 4, 4, 2] },
  },
  {
    note: 'configured width below a patch',
    options: { ...patch, width: 1 },
    inputs: { latent: [1, 4, 8, 8] },
  },
  {
    note: 'a loaded table',
    options: patch,
    inputs: { latent: [2, 4, 8, 8] },
    extraParameters: [['pos_embed', [1, 16, 64]]],
  },
  {
    note: 'a loaded table, layer norm',
    options: { ...patch, layerNorm: true },
    inputs: { latent: [2, 4, 8, 8] },
    extraParameters: [['pos_embed', [1, 16, 64]]],
  },
  {
    note: 'a loaded table, other size',
    options: patch,
    inputs: { latent: [2, 4, 4, 8] },
    extraParameters: [['pos_embed', [1, 16, 64]]],
  },
  {
    note: 'a crop of a stored table',
    options: { ...patch, posEmbedMaxSize: 7 },
    inputs: { latent: [2, 4, 6, 9] },
  },
  {
    note: 'a crop of the whole, layer norm',
    options: { ...patch, posEmbedMaxSize: 4, layerNorm: true },
    inputs: { latent: [2, 4, 8, 8] },
  },
  {
    note: 'no positions, an odd D',
    options: { ...patch, embedDim: 21, posEmbedType: null },
    inputs: { latent: [2, 4, 6, 8] },
  },
  {
    note: 'not flattened, no positions',
    options: { ...patch, embedDim: 10, posEmbedType: null, flatten: false },
    inputs: { latent: [2, 4, 6, 8] },
  },
  {
    note: 'not flattened, a crop',
    options: { ...patch, embedDim: 16, posEmbedMaxSize: 6, flatten: false },
    inputs: { latent: [2, 4, 8, 2] },
  },
  {
    note: 'not flattened, one column',
    options: { ...patch, width: 2, embedDim: 16, flatten: false },
    inputs: { latent: [2, 4, 8, 2] },
  },
  {
    note: 'not flattened, one row as wide as D',
    options: { height: 1, width: 4, patchSize: 1, inChannels: 3, embedDim: 4, flatten: false },
    inputs: { latent: [2, 3, 1, 4] },
  },
  {
    note: 'not flattened, layer norm over the width',
    options: {
      height: 1,
      width: 4,
      patchSize: 1,
      inChannels: 3,
      embedDim: 4,
      flatten: false,
      layerNorm: true,
    },
    inputs: { latent: [2, 3, 1, 4] },
  },
  {
    note: 'float32 given',
    options: patch,
    inputs: { latent: { shape: [1, 4, 8, 8], dtype: 'float32' } },
  },
  {
    note: 'float64 given',
    options: patch,
    inputs: { latent: { shape: [1, 4, 8, 8], dtype: 'float64' } },
  },
  {
    note: 'float16 given',
    options: patch,
    inputs: { latent: { shape: [1, 4, 8, 8], dtype: 'float16' } },
  },
  {
    note: 'bfloat16 given',
    options: patch,
    inputs: { latent: { shape: [1, 4, 8, 8], dtype: 'bfloat16' } },
  },
  {
    note: 'several tiles on several threads',
    options: { ...patch, embedDim: 132 },
    inputs: { latent: [9, 4, 38, 34] },
  },
]);
