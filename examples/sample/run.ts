// Opens the folder that python/export.py wrote, and samples.
import { join } from 'node:path';
import * as ort from 'onnxruntime-node';
import { largestDifference, roundingBounds } from './agreement.js';
import { ddimSteps, readSchedulerConfig } from './ddim.js';
import { LatteEmbeddings, openCheckpoint, type Checkpoint, type LatteTensor } from './latte.js';
import { sample, type Times } from './sample.js';

export interface RunOptions {
  /** The folder that python/export.py wrote. */
  readonly folder: string;
  readonly stepCount: number;
  /** A .safetensors file with prompt_embeds and negative_prompt_embeds; that of the folder by default. */
  readonly captionFile?: string;
  /** Texts for the folder's text_encoder, instead of any prompt embeddings. */
  readonly texts?: { readonly prompt: string; readonly negativePrompt: string };
  readonly onStep?: (done: number) => void;
}

export interface Agreement {
  /** The largest difference from diffusers' latents after each step, and the bound for it. */
  readonly differences: number[];
  readonly bounds: number[];
}

export interface RunResult {
  readonly latents: LatteTensor;
  readonly times: Times & { total: number };
  /** Undefined if the folder has no latents of diffusers for this number of steps. */
  readonly agreement: Agreement | undefined;
}

export async function run(options: RunOptions): Promise<RunResult> {
  const { folder, stepCount, onStep } = options;
  const file = await openCheckpoint(join(folder, 'run.safetensors'));
  const [prompt, negativePrompt] = await promptEmbeddings(options, file);
  const scheduler = await readSchedulerConfig(join(folder, 'scheduler/scheduler_config.json'));
  const steps = ddimSteps(scheduler, stepCount);
  const guidanceScale = Number(file.metadata.get('guidance_scale'));
  const blocks = await ort.InferenceSession.create(join(folder, 'blocks.onnx'));
  // On the CPU, because the blocks read its memory.
  using latte = await LatteEmbeddings.fromPretrained(folder, {
    subfolder: 'transformer',
    device: 'cpu',
  });
  const expected =
    !options.captionFile && !options.texts && file.names().includes('expected')
      ? await file.tensor('expected') // [steps, 1, C, F, H, W]
      : undefined;
  const differences: number[] = [];
  const start = performance.now();
  const { latents, times, largestNoise } = await sample({
    latte,
    blocks,
    steps,
    guidanceScale,
    prompt,
    negativePrompt,
    latents: await file.tensor('latents'),
    onStep(step, { data, size }) {
      if (expected !== undefined) {
        const theirs = (expected.data as Float32Array).subarray(step * size, (step + 1) * size);
        differences.push(largestDifference(data as Float32Array, theirs));
      }
      onStep?.(step + 1);
    },
  });
  const total = performance.now() - start;
  await blocks.release();
  await file.close();
  const agreement =
    expected?.shape[0] === stepCount
      ? { differences, bounds: roundingBounds(steps, guidanceScale, largestNoise) }
      : undefined;
  return { latents, times: { ...times, total }, agreement };
}

/** [1, L, K] of the prompt and of the negative prompt: of texts, of a file, or of the folder. */
async function promptEmbeddings(
  { folder, texts, captionFile }: RunOptions,
  file: Checkpoint,
): Promise<[LatteTensor, LatteTensor]> {
  if (texts !== undefined) {
    const tokens = file.info('prompt_embeds').shape[1]!;
    const both = [texts.prompt, texts.negativePrompt];
    const { encodeTexts } = await import('./text-encoder.js'); // loads transformers.js
    const encoded = await encodeTexts(join(folder, 'text_encoder'), both, tokens);
    return [encoded[0]!, encoded[1]!];
  }
  const captions = captionFile ? await openCheckpoint(captionFile) : file;
  const names = ['prompt_embeds', 'negative_prompt_embeds'];
  const [prompt, negative] = await Promise.all(names.map(async (name) => captions.tensor(name)));
  if (captions !== file) await captions.close();
  return [prompt!, negative!];
}
