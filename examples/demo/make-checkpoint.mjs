// node examples/demo/make-checkpoint.mjs <folder>
//
// Makes the demo's checkpoint, with the shapes and the names of Latte-XL as diffusers'
// LatteTransformer3DModel stores it, in float32, and an input file. All values are random from fixed
// seeds. Of the 56 transformer blocks, which `embed` skips, there is one of each kind.
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { randomNormal } from '../../dist/cli/random.js';
import latte from '../../dist/index.js';

const { Tensor, writeSafetensors } = latte;
const hidden = 1152;
const captionChannels = 4096;
const seed = 2024;

const config = {
  _class_name: 'LatteTransformer3DModel',
  _diffusers_version: '0.29.0',
  activation_fn: 'gelu-approximate',
  attention_bias: true,
  attention_head_dim: 72,
  caption_channels: captionChannels,
  cross_attention_dim: hidden,
  dropout: 0.0,
  in_channels: 4,
  norm_elementwise_affine: false,
  norm_eps: 1e-6,
  norm_type: 'ada_norm_single',
  num_attention_heads: 16,
  num_embeds_ada_norm: 1000,
  num_layers: 28,
  out_channels: 8,
  patch_size: 2,
  sample_size: 64,
  video_length: 16,
};

const product = (shape) => shape.reduce((total, length) => total * length, 1);

/** [name, tensor] with normal values of a fixed seed. */
function random(name, shape, deviation) {
  const values = randomNormal(product(shape), seed, name).map((value) => value * deviation);
  return [name, new Tensor('float32', values, shape)];
}

function linear(name, outputs, ...inputs) {
  return [
    random(`${name}.weight`, [outputs, ...inputs], 1 / Math.sqrt(product(inputs))),
    random(`${name}.bias`, [outputs], 0.1),
  ];
}

function block(name, crossAttention) {
  const attentions = crossAttention ? ['attn1', 'attn2'] : ['attn1'];
  return [
    random(`${name}.scale_shift_table`, [6, hidden], 1 / Math.sqrt(hidden)),
    ...attentions.flatMap((attention) =>
      ['to_q', 'to_k', 'to_v', 'to_out.0'].flatMap((part) =>
        linear(`${name}.${attention}.${part}`, hidden, hidden),
      ),
    ),
    ...linear(`${name}.ff.net.0.proj`, 4 * hidden, hidden),
    ...linear(`${name}.ff.net.2`, hidden, 4 * hidden),
  ];
}

const folder = process.argv[2];
const checkpoint = join(folder, 'latte-xl', 'transformer');
const weights = join(checkpoint, 'diffusion_pytorch_model.safetensors');
const inputs = join(folder, 'inputs.safetensors');

if (existsSync(weights) && existsSync(inputs)) {
  console.log('The checkpoint and the inputs are there from an earlier run.');
} else {
  mkdirSync(checkpoint, { recursive: true });
  writeFileSync(join(checkpoint, 'config.json'), `${JSON.stringify(config, null, 2)}\n`);
  const tensors = [
    ...linear('adaln_single.emb.timestep_embedder.linear_1', hidden, 256),
    ...linear('adaln_single.emb.timestep_embedder.linear_2', hidden, hidden),
    ...linear('adaln_single.linear', 6 * hidden, hidden),
    ...linear('caption_projection.linear_1', hidden, captionChannels),
    ...linear('caption_projection.linear_2', hidden, hidden),
    ...linear('pos_embed.proj', hidden, 4, 2, 2),
    ...linear('proj_out', 32, hidden),
    random('scale_shift_table', [2, hidden], 1 / Math.sqrt(hidden)),
    ...block('temporal_transformer_blocks.0', false),
    ...block('transformer_blocks.0', true),
  ];
  await writeSafetensors(weights, new Map(tensors));
  console.log(`Made ${weights}`);

  // Classifier-free guidance runs the same latent with two captions, the empty one and the prompt.
  const frames = randomNormal(4 * 16 * 64 * 64, seed, 'latent');
  const twice = new Float32Array(2 * frames.length);
  twice.set(frames);
  twice.set(frames, frames.length);
  const [caption, values] = random('caption', [2, 120, captionChannels], 1);
  const latent = new Tensor('float32', twice, [2, 4, 16, 64, 64]);
  await writeSafetensors(inputs, { latent, [caption]: values });
  console.log(`Made ${inputs}`);
}
