// Computes the conditioning tensors of a checkpoint, and uses them in a denoising loop.
//   node examples/conditioning.mjs <folder of the transformer>
// The caption and the latent are random here. In a real program they come from a text encoder and a
// scheduler.
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

// Once per prompt: everything that does not depend on the latent.
const timesteps = [999, 749, 499, 249];
const plan = await latte.prepare({ timesteps, caption });
console.log('encoderHiddenStates', plan.encoderHiddenStates.shape);

let tokens;
for (const [i, timestep] of timesteps.entries()) {
  tokens = await latte.embedLatent(latent, { out: tokens });
  const { modulation, embeddedTimestep } = plan.step(i);
  // A real program runs the transformer's blocks here, on tokens, modulation and encoderHiddenStates.
  // The scheduler then computes the next latent.
  console.log(timestep, tokens.shape, modulation.shape, embeddedTimestep.shape);
}
plan.dispose();
latte.dispose();
