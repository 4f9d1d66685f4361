// A checkpoint with random weights, of the size of Latte-1: what one prompt is embedded by.
import { writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

const require = createRequire(import.meta.url);
const { Tensor, writeSafetensors } = require('../../dist/index.js');

export const dim = 1152;
export const captionWidth = 4096;

/** The lengths of every weight, [out, in]. Biases have the length of the rows. */
const matrices = {
  'pos_embed.proj': [dim, 4, 2, 2],
  'caption_projection.linear_1': [dim, captionWidth],
  'caption_projection.linear_2': [dim, dim],
  'adaln_single.emb.timestep_embedder.linear_1': [dim, 256],
  'adaln_single.emb.timestep_embedder.linear_2': [dim, dim],
  'adaln_single.linear': [6 * dim, dim],
};

/** What the layers read of it. */
const config = {
  _class_name: 'LatteTransformer3DModel',
  attention_head_dim: 72,
  caption_channels: captionWidth,
  in_channels: 4,
  norm_type: 'ada_norm_single',
  num_attention_heads: 16,
  patch_size: 2,
  sample_size: 64,
  video_length: 16,
};

/** Numbers between -1 and 1 that depend on the seed alone. */
export function numbers(size, seed) {
  let state = seed >>> 0;
  return Float32Array.from({ length: size }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  });
}

/** Writes config.json and the weights, and returns the path of the weights. */
export async function writeCheckpoint(folder) {
  const weights = {};
  for (const [i, [name, shape]] of Object.entries(matrices).entries()) {
    const [rows, ...columns] = shape;
    const inputs = columns.reduce((product, length) => product * length, 1);
    // Results keep the size of the inputs.
    const matrix = numbers(rows * inputs, i + 1).map((x) => x / Math.sqrt(inputs / 3));
    weights[`${name}.weight`] = new Tensor('float32', matrix, shape);
    weights[`${name}.bias`] = new Tensor('float32', numbers(rows, i + 100), [rows]);
  }
  writeFileSync(join(folder, 'config.json'), JSON.stringify(config));
  const path = join(folder, 'diffusion_pytorch_model.safetensors');
  await writeSafetensors(path, weights);
  return path;
}
