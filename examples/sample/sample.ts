// A sampling run: conditioning by latte-embeddings, blocks by ONNX Runtime, scheduler in ddim.ts.
import * as ort from 'onnxruntime-node';
import type { DdimStep } from './ddim.js';
import { Tensor, type Latte, type LatteTensor } from './latte.js';

export interface SampleOptions {
  readonly latte: Latte;
  /** The transformer's blocks, as python/export.py writes them. */
  readonly blocks: ort.InferenceSession;
  readonly steps: readonly DdimStep[];
  /** [1, L, K]: the text encoder's output for the prompt, and for the negative or empty one. */
  readonly prompt: LatteTensor;
  readonly negativePrompt: LatteTensor;
  /** The guidance scale g: the noise is negative + g·(wanted − negative). */
  readonly guidanceScale: number;
  /** The initial noise [1, C, F, H, W]. */
  readonly latents: LatteTensor;
  /** Called after each step with the latents [1, C, F, H, W], which the next step overwrites. */
  readonly onStep?: (step: number, latents: LatteTensor) => void;
}

/** Milliseconds of each part of a run. */
export interface Times {
  /** `prepare`: the caption and all timesteps, once. */
  prepare: number;
  /** `embedLatent`, summed over all steps. */
  embedLatent: number;
  /** The blocks in ONNX Runtime, summed over all steps. */
  blocks: number;
  /** Guidance and the scheduler, summed over all steps. */
  scheduler: number;
}

export interface SampleResult {
  /** The final latents [1, C, F, H, W]. */
  readonly latents: LatteTensor;
  readonly times: Times;
  /** The largest absolute value of the noise that the blocks predicted. */
  readonly largestNoise: number;
}

export async function sample(options: SampleOptions): Promise<SampleResult> {
  const { latte, blocks, steps, prompt, negativePrompt, guidanceScale, onStep } = options;
  const times: Times = { prepare: 0, embedLatent: 0, blocks: 0, scheduler: 0 };
  const timed = async <T>(part: keyof Times, run: () => T | Promise<T>): Promise<T> => {
    const start = performance.now();
    const result = await run();
    times[part] += performance.now() - start;
    return result;
  };

  // Computes everything that does not depend on the latents. Rows: the negative prompt, then the prompt.
  using caption = stack(negativePrompt, prompt);
  using plan = await timed('prepare', () =>
    latte.prepare({ timesteps: steps.map(({ timestep }) => timestep), caption }),
  );

  // These tensors keep their memory in all steps, so each is passed to ONNX Runtime once.
  const [, channels, frames, height, width] = options.latents.shape as [
    number,
    number,
    number,
    number,
    number,
  ];
  using latents = stack(options.latents, options.latents); // [2, C, F, H, W]
  using tokens = await latte.embedLatent(latents); // [2F, N, D]
  using frameTable = latte.tempPosEmbed(frames); // [1, F, D]
  // Latte also predicts a variance, in channels that DDIM does not use.
  using noise = Tensor.zeros(outputShape(blocks)); // [2, C or 2C, F, H, W]
  const inputs = {
    tokens: tokens.toOrt(ort),
    encoder_hidden_states: plan.encoderHiddenStates.toOrt(ort),
    temp_pos_embed: frameTable.toOrt(ort),
  };
  const output = { sample: noise.toOrt(ort) };

  const size = channels * frames * height * width;
  const x = latents.data as Float32Array;
  const predicted = noise.data as Float32Array;
  const negative = predicted.subarray(0, size);
  const wanted = predicted.subarray(predicted.length / 2, predicted.length / 2 + size);
  const result = Tensor.zeros(options.latents.shape);
  let largestNoise = 0;
  for (const [i, { ofSample, ofNoise }] of steps.entries()) {
    await timed('embedLatent', () => latte.embedLatent(latents, { out: tokens }));
    const { modulation, embeddedTimestep } = plan.step(i);
    const conditions = {
      modulation: modulation.toOrt(ort),
      embedded_timestep: embeddedTimestep.toOrt(ort),
    };
    await timed('blocks', () => blocks.run({ ...inputs, ...conditions }, output));
    await timed('scheduler', () => {
      for (let j = 0; j < size; j++) {
        const guided = negative[j]! + guidanceScale * (wanted[j]! - negative[j]!);
        x[j] = ofSample * x[j]! + ofNoise * guided;
        largestNoise = Math.max(largestNoise, Math.abs(negative[j]!), Math.abs(wanted[j]!));
      }
      x.copyWithin(size, 0, size);
    });
    (result.data as Float32Array).set(x.subarray(0, size));
    onStep?.(i, result);
  }
  return { latents: result, times, largestNoise };
}

/** The shape of the noise, which the export has fixed. */
function outputShape(blocks: ort.InferenceSession): number[] {
  const output = blocks.outputMetadata.find(({ name }) => name === 'sample');
  if (!output?.isTensor) throw new Error('the blocks have no output "sample"');
  return output.shape as number[];
}

/** Stacks two float32 tensors of one row each. */
function stack(first: LatteTensor, second: LatteTensor): LatteTensor {
  const both = Tensor.zeros([2, ...first.shape.slice(1)]);
  const data = both.data as Float32Array;
  data.set(first.data as Float32Array);
  data.set(second.data as Float32Array, first.size);
  return both;
}
