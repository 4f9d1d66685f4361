import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { SingleBar, Presets } from 'cli-progress';
import { Command, InvalidArgumentError, Option } from 'commander';
import { writePicture } from './picture.js';
import { run, type RunResult } from './run.js';

const here = fileURLToPath(new URL('.', import.meta.url));

interface Options {
  size: 'tiny' | 'xl';
  folder?: string;
  steps?: number;
  caption?: string;
  prompt?: string;
  negativePrompt: string;
  picture: string;
}

const command = new Command('sample')
  .description('Samples a video latent with Latte in this Node.js process.')
  .addOption(
    new Option('--size <size>', 'the model: tiny is in the checkout, python/export.py makes xl')
      .choices(['tiny', 'xl'])
      .default('tiny'),
  )
  .option('--folder <folder>', 'what python/export.py wrote, instead of fixtures/tiny or xl')
  .option('--steps <number>', 'denoising steps (default: 6 of tiny, 2 of xl)', stepCount)
  .option(
    '--caption <file>',
    'a .safetensors with prompt_embeds and negative_prompt_embeds [1, L, K]',
  )
  .addOption(
    new Option('--prompt <text>', 'encoded by the T5 encoder in text_encoder/').conflicts(
      'caption',
    ),
  )
  .option('--negative-prompt <text>', 'beside --prompt', '')
  .option('--picture <file>', 'the PNG with the latents at the end', 'latents.png')
  .action(main);

function stepCount(text: string): number {
  const count = Number(text);
  if (Number.isInteger(count) && count >= 1 && count <= 1000) return count;
  throw new InvalidArgumentError('must be a whole number from 1 to 1000.');
}

async function main(options: Options): Promise<void> {
  const folder = options.folder ?? join(here, options.size === 'tiny' ? 'fixtures/tiny' : 'xl');
  if (!existsSync(join(folder, 'blocks.onnx'))) {
    command.error(
      `${folder} has no blocks.onnx; make it: python/export.py --size ${options.size} --output ${folder}`,
    );
  }
  if (options.prompt !== undefined && !existsSync(join(folder, 'text_encoder'))) {
    command.error(`${folder} has no text_encoder: give --caption`);
  }
  const count = options.steps ?? (options.size === 'tiny' ? 6 : 2);
  const bar = new SingleBar(
    { format: 'step {value} of {total} {bar} {eta_formatted}' },
    Presets.shades_classic,
  );
  bar.start(count, 0);
  let result: RunResult;
  try {
    result = await run({
      folder,
      stepCount: count,
      captionFile: options.caption,
      texts:
        options.prompt === undefined
          ? undefined
          : { prompt: options.prompt, negativePrompt: options.negativePrompt },
      onStep: (done) => bar.update(done),
    });
  } finally {
    bar.stop();
  }
  await writePicture(options.picture, result.latents);
  report(result, options.picture);
}

function report({ latents, times, agreement }: RunResult, picture: string): void {
  const { prepare, embedLatent, blocks, scheduler, total } = times;
  const rows: [string, number][] = [
    ['conditioning, once (prepare)', prepare],
    ['conditioning, each step (embedLatent)', embedLatent],
    ['blocks (onnxruntime-node)', blocks],
    ['guidance and scheduler', scheduler],
    ['whole run', total],
  ];
  for (const [name, milliseconds] of rows) {
    const share = ((100 * milliseconds) / total).toFixed(1);
    console.log(
      `${name.padEnd(38)} ${milliseconds.toFixed(1).padStart(11)} ms ${share.padStart(6)} %`,
    );
  }
  if (agreement !== undefined) {
    const difference = agreement.differences.at(-1)!;
    const bound = agreement.bounds.at(-1)!;
    const largest = (latents.data as Float32Array).reduce((m, x) => Math.max(m, Math.abs(x)), 0);
    const words = difference <= bound ? 'agrees with diffusers' : 'DOES NOT AGREE with diffusers';
    console.log(
      `${words}: off by ${difference.toExponential(1)} at most, of values up to ${largest.toFixed(0)}; rounding allows ${bound.toExponential(1)}`,
    );
    if (difference > bound) process.exitCode = 1;
  }
  console.log(`latents [${latents.shape.join(', ')}]: ${picture}`);
}

await command.parseAsync();
