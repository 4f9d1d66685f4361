// node examples/demo/check.mjs <folder> <output.safetensors>
//
// Computes a sample of the entries of every output of `embed` again, in double precision and straight
// from the formulas, and compares. Of the library it uses only the reader of files.
import { join } from 'node:path';
import latte from '../../dist/index.js';

const [folder, outputPath] = process.argv.slice(2);

/** The shapes and values of a file's tensors by their names. */
async function read(path) {
  const file = await latte.openCheckpoint(path);
  const tensors = new Map();
  for (const name of file.names()) {
    const { shape, data } = await file.tensor(name);
    tensors.set(name, { shape, data });
  }
  await file.close();
  return tensors;
}
const weights = await read(
  join(folder, 'latte-xl', 'transformer', 'diffusion_pytorch_model.safetensors'),
);
const inputs = await read(join(folder, 'inputs.safetensors'));
const outputs = await read(outputPath);

const D = 1152;
const sinusoidChannels = 256;
const [frames, latentSize, patch, grid] = [16, 64, 2, 32];
const timesteps = Array.from({ length: 20 }, (_, i) => 999 - 50 * i);

function get(tensors, name) {
  const tensor = tensors.get(name);
  if (tensor === undefined) throw new Error(`there is no tensor ${name}`);
  return tensor;
}

/** Entry `row` of weight · x + bias. */
function linearEntry(name, row, x) {
  const { data } = get(weights, `${name}.weight`);
  let sum = get(weights, `${name}.bias`).data[row];
  for (let i = 0; i < x.length; i++) sum += data[row * x.length + i] * x[i];
  return sum;
}

function linear(name, x) {
  const rows = get(weights, `${name}.bias`).data.length;
  return Float64Array.from({ length: rows }, (_, row) => linearEntry(name, row, x));
}

const silu = (x) => x / (1 + Math.exp(-x));
const gelu = (x) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));

/** [cos | sin] of a timestep. The reference rounds the frequency and the angle to float32. */
function sinusoid(timestep) {
  const half = sinusoidChannels / 2;
  return Float64Array.from({ length: sinusoidChannels }, (_, i) => {
    const exponent = Math.fround(Math.fround(-Math.log(10000) * (i % half)) / half);
    const angle = Math.fround(timestep * Math.fround(Math.exp(exponent)));
    return i < half ? Math.cos(angle) : Math.sin(angle);
  });
}

/** Channel `channel` of [sin | cos] of a position over `channels` channels. */
function positionEntry(position, channel, channels) {
  const half = channels / 2;
  const angle = position * 10000 ** (-(channel % half) / half);
  return channel < half ? Math.sin(angle) : Math.cos(angle);
}

/** One entry of the patch embedding: convolution over a patch, and the position of its token. */
function patchEntry(image, token, channel) {
  const latent = get(inputs, 'latent').data;
  const kernel = get(weights, 'pos_embed.proj.weight').data;
  const [b, f] = [Math.floor(image / frames), image % frames];
  const [row, column] = [Math.floor(token / grid), token % grid];
  let sum = get(weights, 'pos_embed.proj.bias').data[channel];
  for (let c = 0; c < 4; c++) {
    for (let y = 0; y < patch; y++) {
      for (let x = 0; x < patch; x++) {
        const line = ((b * 4 + c) * frames + f) * latentSize + row * patch + y;
        const pixel = latent[line * latentSize + column * patch + x];
        sum += pixel * kernel[((channel * 4 + c) * patch + y) * patch + x];
      }
    }
  }
  // The first half of the channels encodes the column, the second the row.
  const half = D / 2;
  return sum + positionEntry(channel < half ? column : row, channel % half, half);
}

/** `count` indices below `length`, spread over it; both ends are among them. */
function sample(length, count) {
  return Array.from({ length: count }, (_, i) => Math.round((i * (length - 1)) / (count - 1)));
}

let failed = false;

/** Compares entries; the bound is absolute, for values that are about 1 in size. */
function check(name, shape, bound, entries) {
  const output = get(outputs, name);
  if (String(output.shape) !== String(shape)) {
    throw new Error(`${name} is [${output.shape.join(', ')}], not [${shape.join(', ')}]`);
  }
  let [count, worst] = [0, 0];
  for (const [index, expected] of entries) {
    const flat = index.reduce((offset, at, axis) => offset * shape[axis] + at, 0);
    const error = Math.abs(output.data[flat] - expected);
    // Written so that NaN counts as wrong.
    if (!(error <= worst)) worst = error;
    count++;
  }
  const good = worst <= bound;
  failed ||= !good;
  const size = `[${shape.join(', ')}]`;
  console.log(
    `  ${name.padEnd(21)} ${size.padEnd(16)} ${String(count).padStart(5)} entries   ` +
      `largest error ${worst.toExponential(1)} (bound ${bound.toExponential(0)})  ${good ? 'ok' : 'WRONG'}`,
  );
}

function* captionEntries() {
  const { data, shape } = get(inputs, 'caption');
  const [, tokens, channels] = shape;
  for (const b of [0, 1]) {
    for (const token of sample(tokens, 4)) {
      const start = (b * tokens + token) * channels;
      const x = data.subarray(start, start + channels);
      const inner = linear('caption_projection.linear_1', x).map(gelu);
      for (const d of sample(D, 24)) {
        yield [[b, token, d], linearEntry('caption_projection.linear_2', d, inner)];
      }
    }
  }
}

const embedded = timesteps.map((timestep) => {
  const name = 'adaln_single.emb.timestep_embedder';
  return linear(`${name}.linear_2`, linear(`${name}.linear_1`, sinusoid(timestep)).map(silu));
});

function* timestepEntries() {
  for (const [step, e] of embedded.entries()) {
    for (const b of [0, 1]) for (const d of sample(D, 24)) yield [[step, b, d], e[d]];
  }
}

function* modulationEntries() {
  for (const [step, e] of embedded.entries()) {
    const x = e.map(silu);
    for (const d of sample(6 * D, 24)) {
      const expected = linearEntry('adaln_single.linear', d, x);
      for (const b of [0, 1]) yield [[step, b, d], expected];
    }
  }
}

function* patchEntries() {
  for (const image of sample(2 * frames, 8)) {
    for (const token of sample(grid * grid, 23)) {
      for (const d of sample(D, 24)) yield [[image, token, d], patchEntry(image, token, d)];
    }
  }
}

function* frameEntries() {
  for (let frame = 0; frame < frames; frame++) {
    for (const d of sample(D, 24)) yield [[0, frame, d], positionEntry(frame, d, D)];
  }
}

// float32 keeps 24 bits: 6e-8 of a value. Sums of a few thousand products lose a little more, and
// what comes of timesteps starts from angles up to 999, where float32 numbers lie 6e-5 apart.
check('encoder_hidden_states', [2, 120, D], 2e-5, captionEntries());
check('modulation', [20, 2, 6 * D], 6e-5, modulationEntries());
check('embedded_timestep', [20, 2, D], 6e-5, timestepEntries());
check('hidden_states', [2 * frames, grid * grid, D], 5e-6, patchEntries());
check('temp_pos_embed', [1, frames, D], 2e-7, frameEntries());
process.exitCode = failed ? 1 : 0;
