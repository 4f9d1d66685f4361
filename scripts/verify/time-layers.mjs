// time-layers.mjs [--quick]: how long a forward of each layer takes on the first NPU, with inputs and
// results on it, as JSON. Sizes are those of Latte-XL: 16 frames with guidance, 120 tokens, 20 steps.
import { performance } from 'node:perf_hooks';
import * as latte from '../../dist/index.mjs';

const quick = process.argv.includes('--quick');
const device = 'npu:0';
const size = quick
  ? { dim: 48, text: 64, latent: [2, 4, 8, 8], tokens: 7, repetitions: 3 }
  : { dim: 1152, text: 4096, latent: [32, 4, 64, 64], tokens: 120, repetitions: 50 };
const { dim, text, latent, tokens, repetitions } = size;

/** Values in (-0.5, 0.5), the same in every run; what they are does not matter to the time. */
function tensor(dtype, shape) {
  const count = shape.reduce((product, length) => product * length, 1);
  const values = Float32Array.from({ length: count }, (_, i) => ((i * 7919) % 1009) / 1009 - 0.5);
  return new latte.Tensor('float32', values, shape).to({ dtype });
}

async function load(layer, dtype, shapes) {
  const weights = {};
  for (const [name, shape] of Object.entries(shapes)) weights[name] = await tensor(dtype, shape);
  layer.loadStateDict(weights);
  return layer;
}

const linear = (name, out, into) => ({ [`${name}.weight`]: [out, into], [`${name}.bias`]: [out] });
const mlp = (name, out, into) => ({
  ...linear(`${name}linear_1`, out, into),
  ...linear(`${name}linear_2`, out, out),
});
const onNpu = async (dtype, shape) => (await tensor(dtype, shape)).to(device);

/** Each gives a function that starts a forward. */
const makers = {
  PatchEmbed: async (dtype) => {
    const side = latent[2];
    const layer = new latte.PatchEmbed({
      ...{ height: side, width: side, patchSize: 2, inChannels: 4, embedDim: dim },
      ...{ device, dtype },
    });
    await load(layer, dtype, { 'proj.weight': [dim, 4, 2, 2], 'proj.bias': [dim] });
    const input = await onNpu(dtype, latent);
    return async () => [await layer.forward(input)];
  },
  AdaLayerNormSingle: async (dtype) => {
    const layer = new latte.AdaLayerNormSingle({ embeddingDim: dim, device, dtype });
    const shapes = {
      ...mlp('emb.timestep_embedder.', dim, 256),
      ...linear('linear', 6 * dim, dim),
    };
    await load(layer, dtype, shapes);
    const timestep = Array.from({ length: 20 }, (_, i) => 999 - 50 * i);
    return async () => Object.values(await layer.forward({ timestep }));
  },
  CombinedTimestepSizeEmbeddings: async (dtype) => {
    const layer = new latte.CombinedTimestepSizeEmbeddings({
      ...{ embeddingDim: dim, sizeEmbDim: dim / 3, useAdditionalConditions: true },
      ...{ device, dtype },
    });
    await load(layer, dtype, {
      ...mlp('timestep_embedder.', dim, 256),
      ...mlp('resolution_embedder.', dim / 3, 256),
      ...mlp('aspect_ratio_embedder.', dim / 3, 256),
    });
    const inputs = {
      timestep: [999, 999],
      resolution: await tensor('float32', [2, 2]),
      aspectRatio: await tensor('float32', [2, 1]),
    };
    return async () => [await layer.forward(inputs)];
  },
  CaptionProjection: async (dtype) => {
    const layer = new latte.CaptionProjection({
      ...{ inFeatures: text, hiddenSize: dim },
      ...{ device, dtype },
    });
    await load(layer, dtype, mlp('', dim, text));
    const caption = await onNpu(dtype, [2, tokens, text]);
    return async () => [await layer.forward(caption)];
  },
};

const dispose = (tensors) => tensors.forEach((one) => one.dispose());

/** Milliseconds: of one forward that is awaited (median, least), and of one among many in the queue. */
async function time(start) {
  for (let i = 0; i < 3; i++) dispose(await start());
  const alone = [];
  for (let i = 0; i < repetitions; i++) {
    const begin = performance.now();
    const results = await start();
    alone.push(performance.now() - begin);
    dispose(results);
  }
  alone.sort((a, b) => a - b);
  const begin = performance.now();
  const results = await Promise.all(Array.from({ length: repetitions }, start));
  const queued = (performance.now() - begin) / repetitions;
  results.forEach(dispose);
  const rounded = (value) => Math.round(value * 1000) / 1000;
  return {
    median: rounded(alone[Math.floor(alone.length / 2)]),
    least: rounded(alone[0]),
    queued: rounded(queued),
  };
}

const timings = [];
for (const [layer, make] of Object.entries(makers)) {
  for (const dtype of ['float16', 'bfloat16', 'float32']) {
    try {
      timings.push({ layer, dtype, milliseconds: await time(await make(dtype)) });
    } catch (error) {
      timings.push({ layer, dtype, error: error.message, code: error.code });
    }
  }
}
console.log(JSON.stringify({ sizes: size, timings }));
