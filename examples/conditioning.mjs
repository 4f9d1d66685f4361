// A checkpoint to conditioning tensors, and the loop that uses them.
//   node examples/conditioning.mjs <folder of the transformer>
// The caption and the latent are made up: they come from a text encoder and a scheduler.
import { LatteEmbeddings, Tensor } from 'latte-embeddings';

const folder = process.argv[2];
if (folder === undefined) throw new Error('give the folder with config.json and the weights');

const latte = await LatteEmbeddings.fromPretrained(folder, { device: 'cpu' });
const { inChannels, captionChannels, sampleSize, videoLength } = latte.config;
const [frames, [height, width]] = [videoLength ?? 1, sampleSize];
const random = (shape) => {
  const size = shape.reduce((product, n) => product * n, 1);
  return new Tensor('float32', Float32Array.from({ length: size }, Math.random), shape);
};

// Two rows, with and without the prompt, for classifier-free guidance.
const caption = random([2, 120, captionChannels]);
const latent = random([2, inChannels, frames, height, width]);

// Once per prompt: all that does not depend on the latent.
const timesteps = [999, 749, 499, 249];
const plan = await latte.prepare({ timesteps, caption });
console.log('encoderHiddenStates', plan.encoderHiddenStates.shape);

let tokens;
for (const [i, timestep] of timesteps.entries()) {
  tokens = await latte.embedLatent(latent, { out: tokens });
  const { modulation, embeddedTimestep } = plan.step(i);
  // Here the transformer's blocks take tokens, modulation and encoderHiddenStates, and the scheduler
  // computes the next latent.
  console.log(timestep, tokens.shape, modulation.shape, embeddedTimestep.shape);
}
plan.dispose();
latte.dispose();
