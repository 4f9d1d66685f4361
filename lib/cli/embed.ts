import { Command, Option } from 'commander';
import type { FloatDType } from '../tensor/dtype.js';
import { LatteError } from '../errors.js';
import type { LatteEmbeddings, LattePlan } from '../index.js';
import type { Tensor } from '../tensor/tensor.js';
import { formatBytes, formatDuration, formatTable, printJson } from './format.js';
import { checkpointFiles, readInput } from './inputs.js';
import {
  deviceName,
  numberList,
  positiveNumber,
  sizePair,
  source,
  spacedTimesteps,
  wholeNumber,
  type Source,
} from './options.js';
import { checkOutput, writeComplete } from './output-file.js';
import { createProgress, type Progress } from './progress.js';
import { packageVersion } from './version.js';

interface EmbedOptions {
  checkpoint: string;
  latent?: Source;
  caption: Source;
  steps: number;
  timesteps?: number[];
  resolution?: [number, number];
  aspectRatio?: number;
  batchSize?: number;
  device?: string;
  dtype?: FloatDType;
  seed: number;
  output: string;
  json?: boolean;
}

/** `embed`: computes the inputs of the transformer's blocks, and writes them to a .safetensors file. */
export function embedCommand(): Command {
  return new Command('embed')
    .description('compute what the transformer needs from a latent, captions and timesteps')
    .usage('--checkpoint <path> --caption <source> -o <file> [options]')
    .optionsGroup('Required:')
    .requiredOption('--checkpoint <path>', 'folder with config.json and the weights')
    .requiredOption(
      '--caption <source>',
      'text encoder output [B,L,K]: a .safetensors file or random:B,L',
      source('B,L'),
    )
    .requiredOption('-o, --output <file>', 'the .safetensors file to write')
    .optionsGroup('Options:')
    .option(
      '--latent <source>',
      'latent video [B,C,F,H,W] or images [B,C,H,W]: a .safetensors file or random:B,C,F,H,W; ' +
        'without it there are no hidden_states',
      source('B,C,F,H,W', 'B,C,H,W'),
    )
    .option('--steps <n>', 'number of timesteps, evenly spaced from 999', wholeNumber(1, 1000), 20)
    .addOption(
      new Option('--timesteps <t,t,…>', 'these timesteps instead, like 999,950,900')
        .argParser(numberList)
        .conflicts('steps'),
    )
    .option('--resolution <h,w>', 'size condition: height and width in pixels', sizePair)
    .option('--aspect-ratio <r>', 'size condition: height divided by width', positiveNumber)
    .option(
      '--batch-size <n>',
      'rows per timestep (default: the batch of the caption)',
      wholeNumber(1),
    )
    .option('--device <name>', 'auto, cpu, npu or npu:0, npu:1 … (default: auto)', deviceName)
    .addOption(
      new Option('--dtype <name>', 'dtype to compute in (default: that of the weights)').choices([
        'float32',
        'float16',
        'bfloat16',
      ]),
    )
    .option('--seed <n>', 'seed of random: inputs', wholeNumber(0), 0)
    .option('--json', 'print the summary as JSON')
    .addHelpText(
      'after',
      `
In a file, the tensor named 'latent' or 'caption' is taken, else its only one.
--steps 20 means the timesteps 999, 949, 899 … 49: 999 - floor(1000 i / steps).

The file written holds, for batch B, F frames, N tokens a frame and D channels:
  encoder_hidden_states  [B,L,D]       the captions, projected
  modulation             [steps,B,6D]  adaptive layer norm, for each timestep
  embedded_timestep      [steps,B,D]   the timesteps (and sizes), embedded
  hidden_states          [B*F,N,D]     the latent's patches with their positions
  temp_pos_embed         [1,F,D]       the positions of the frames; without a latent video F is
                                       the model's number of frames

Examples:
  $ latte-embeddings embed --checkpoint ./Latte-1/transformer --steps 20 \\
      --latent random:1,4,16,64,64 --caption random:1,120 -o conditions.safetensors
  $ latte-embeddings embed --checkpoint ./Latte-1/transformer --timesteps 999,500,1 \\
      --latent latent.safetensors --caption caption.safetensors --dtype float16 \\
      -o conditions.safetensors`,
    )
    .action(async (options: EmbedOptions, command: Command) => {
      const sources = [options.caption, ...(options.latent ? [options.latent] : [])];
      if (
        command.getOptionValueSource('seed') === 'cli' &&
        sources.every(({ kind }) => kind === 'file')
      ) {
        throw new LatteError('ERR_VALUE', '--seed has no effect: no input is random:');
      }
      const files = sources.flatMap((from) => (from.kind === 'file' ? [from.path] : []));
      checkOutput(options.output, [options.checkpoint, ...files].flatMap(checkpointFiles));
      const progress = createProgress();
      try {
        await embed(options, progress);
      } finally {
        progress.stop();
      }
    });
}

async function embed(options: EmbedOptions, progress: Progress): Promise<void> {
  const { devices, LatteEmbeddings } = await import('../index.js');
  const { writeSafetensors } = await import('../checkpoint/write-safetensors.js');
  const times = [performance.now()];
  // Resolve 'auto' here: the report names the device, so the library's warning is not needed.
  const automatic = options.device === undefined || options.device === 'auto';
  const npu = devices().find(({ kind }) => kind === 'npu');
  const latte = await LatteEmbeddings.fromPretrained(options.checkpoint, {
    device: automatic ? (npu?.name ?? 'cpu') : options.device,
    dtype: options.dtype,
    onProgress: ({ loaded, total }) => {
      progress.show((0.5 * loaded) / Math.max(total, 1), 'loading weights');
    },
  });
  times.push(performance.now());
  const timesteps = options.timesteps ?? spacedTimesteps(options.steps);
  const outputs = await compute(latte, timesteps, options, progress);
  times.push(performance.now());

  progress.show(0.8, `writing ${options.output}`);
  const metadata = {
    timesteps: timesteps.join(','),
    dtype: latte.patchEmbed.dtype,
    latte_embeddings_version: packageVersion(),
  };
  await writeComplete(options.output, (path) => writeSafetensors(path, outputs, { metadata }));
  times.push(performance.now());
  progress.stop();
  report(options, outputs, timesteps, latte.patchEmbed.device, times);
  latte.dispose();
}

async function compute(
  latte: LatteEmbeddings,
  timesteps: number[],
  options: EmbedOptions,
  progress: Progress,
): Promise<Map<string, Tensor>> {
  const { Tensor } = await import('../index.js');
  const { captionChannels, videoLength } = latte.config;
  const { resolution, aspectRatio, batchSize, seed } = options;
  const sized = latte.config.useAdditionalConditions;
  if (sized && (resolution === undefined || aspectRatio === undefined)) {
    throw new LatteError(
      'ERR_VALUE',
      'this checkpoint has size conditions: --resolution and --aspect-ratio are needed',
    );
  }
  if (!sized && (resolution ?? aspectRatio) !== undefined) {
    process.stderr.write(
      'latte-embeddings: this checkpoint has no size conditions: --resolution and --aspect-ratio are ignored\n',
    );
  }
  progress.show(0.5, 'embedding captions and timesteps');
  const caption = await readInput(options.caption, 'caption', seed, (shape) => [
    ...shape,
    captionChannels ?? latte.config.innerDim,
  ]);
  const plan = await latte.prepare({
    timesteps,
    caption,
    batchSize,
    resolution: resolution && new Tensor('float32', [...resolution], [1, 2]),
    aspectRatio:
      aspectRatio === undefined ? undefined : new Tensor('float32', [aspectRatio], [1, 1]),
  });
  const outputs = new Map<string, Tensor>();
  outputs.set('encoder_hidden_states', await plan.encoderHiddenStates.to('cpu'));
  outputs.set('modulation', await stackSteps(plan, timesteps.length, 'modulation'));
  outputs.set('embedded_timestep', await stackSteps(plan, timesteps.length, 'embeddedTimestep'));

  let frames = videoLength ?? undefined;
  if (options.latent !== undefined) {
    progress.show(0.6, 'embedding the latent');
    const latent = await readInput(options.latent, 'latent', seed, (shape) => shape);
    if (latent.shape.length === 5) frames = latent.shape[2]!;
    outputs.set('hidden_states', await (await latte.embedLatent(latent)).to('cpu'));
  }
  if (videoLength !== null)
    outputs.set('temp_pos_embed', await latte.tempPosEmbed(frames).to('cpu'));
  return outputs;
}

/** Stacks a tensor of each step to one tensor [steps, …]. */
async function stackSteps(
  plan: LattePlan,
  steps: number,
  name: 'modulation' | 'embeddedTimestep',
): Promise<Tensor> {
  const { Tensor } = await import('../index.js');
  const { shape, dtype, size } = plan.step(0)[name];
  const stacked = Tensor.zeros([steps, ...shape], { dtype });
  const target = stacked.data as Float32Array | Uint16Array;
  for (let i = 0; i < steps; i++) {
    const step = await plan.step(i)[name].to('cpu');
    target.set(step.data as Float32Array | Uint16Array, i * size);
  }
  return stacked;
}

function report(
  options: EmbedOptions,
  outputs: Map<string, Tensor>,
  timesteps: number[],
  device: string,
  /** The times of performance.now() at which loading, computing and writing began, and writing ended. */
  times: number[],
): void {
  const tensors = [...outputs].map(([name, { dtype, shape, byteLength }]) => ({
    name,
    dtype,
    shape,
    bytes: byteLength,
  }));
  if (options.json) {
    printJson({ output: options.output, device, timesteps, tensors });
    return;
  }
  const rows = tensors.map(({ name, dtype, shape, bytes }) => [
    name,
    dtype,
    `[${shape.join(', ')}]`,
    formatBytes(bytes),
  ]);
  process.stdout.write(`Wrote ${options.output}\n\n${formatTable(rows, [3])}\n`);
  const [load, compute, write] = times.slice(1).map((end, i) => formatDuration(end - times[i]!));
  process.stdout.write(
    `${timesteps.length} timesteps, on ${device}: ` +
      `weights loaded in ${load}, computed in ${compute}, written in ${write}\n`,
  );
  if (options.latent === undefined) {
    process.stdout.write('No hidden_states: they need a --latent\n');
  }
}
