// One layer: makes tokens of the patches of a latent. Weights and values are arbitrary.
//   node examples/one-layer.mjs
import { PatchEmbed, Tensor } from 'latte-embeddings';

const layer = new PatchEmbed({
  ...{ height: 64, width: 64, patchSize: 2, inChannels: 4, embedDim: 1152 },
  device: 'cpu',
});
layer.loadStateDict({
  // The tensor wraps the array, without a copy.
  'proj.weight': new Tensor(
    'float32',
    new Float32Array(1152 * 4 * 2 * 2).fill(1 / 16),
    [1152, 4, 2, 2],
  ),
  'proj.bias': Tensor.zeros([1152]),
});
const latent = new Tensor('float32', new Float32Array(2 * 4 * 64 * 64).fill(1), [2, 4, 64, 64]);

// `forward` computes on another thread. For a few rows `forwardSync` is quicker.
const tokens = await layer.forward(latent);
console.log(tokens.shape); // [2, 1024, 1152]: batch, patches, channels
// Each token is the patch's projection, 1, and a row of the position table: here sin(0) and cos(0).
console.log(tokens.data[0], tokens.data[288]); // 1 2

// In a loop, write into memory that you keep: the first write to new memory takes longer than the layer.
for (let step = 0; step < 3; step++) await layer.forward(latent, { out: tokens });
tokens.dispose();
layer.dispose();
