import { Command, Option } from 'commander';
import { extname } from 'node:path';
import { LatteError } from '../errors.js';
import type { Tensor } from '../tensor/tensor.js';
import type { EmbedOptions } from './embed/conditions.js';
import { embedLatte } from './embed/latte.js';
import { embedTransformer } from './embed/transformer.js';
import { counted, formatBytes, formatDuration, formatTable, printJson } from './format.js';
import { checkpointFiles } from './inputs.js';
import {
  deviceName,
  numberList,
  positiveNumber,
  sizePair,
  source,
  spacedTimesteps,
  wholeNumber,
} from './options.js';
import { checkOutput, writeComplete } from './output-file.js';
import { createProgress, type Progress } from './progress.js';
import { packageVersion } from './version.js';

/** `embed`: computes the inputs of the transformer's blocks, and writes them to a .safetensors file. */
export function embedCommand(): Command {
  return new Command('embed')
    .description("compute what a transformer's blocks need: of a latent, conditions and timesteps")
    .usage('--checkpoint <path> -o <file> [options]')
    .optionsGroup('Required:')
    .requiredOption('--checkpoint <path>', 'folder with config.json and the weights')
    .requiredOption('-o, --output <file>', 'the .safetensors file to write')
    .optionsGroup('Inputs, of which a model takes some (see below):')
    .option(
      '--latent <source>',
      'video [B,C,F,H,W], images [B,C,H,W] or packed [B,N,K]: a .safetensors file, ' +
        'random:B,C,F,H,W, random:B,C,H,W or random:B,N; without it there are no hidden_states',
      source('B,C,F,H,W', 'B,C,H,W', 'B,N'),
    )
    .option(
      '--caption <source>',
      'text encoder output [B,L,K]: a .safetensors file or random:B,L',
      source('B,L'),
    )
    .option(
      '--pooled-projection <source>',
      'pooled text [B,P]: a .safetensors file or random:B',
      source('B'),
    )
    .option('--image <source>', 'image encoder output [b,s,K]: a file or random:b,s', source('b,s'))
    .option('--guidance <g,…>', 'guidance scale, one or one for each row', numberList)
    .option('--addition-t-cond <n,…>', '0 or 1, one or one for each row', numberList)
    .option('--ofs <n,…>', 'the number beside the timestep, one or one for each row', numberList)
    .option('--resolution <h,w>', 'size condition: height and width in pixels', sizePair)
    .option('--aspect-ratio <r>', 'size condition: height divided by width', positiveNumber)
    .optionsGroup('Options:')
    .option('--steps <n>', 'number of timesteps, evenly spaced from 999', wholeNumber(1, 1000), 20)
    .addOption(
      new Option('--timesteps <t,t,…>', 'these timesteps instead, like 999,950,900')
        .argParser(numberList)
        .conflicts('steps'),
    )
    .option(
      '--batch-size <n>',
      'rows per timestep (default: those of the pooled text or the caption)',
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
Which inputs a model takes (in brackets: may be left out):
  Latte, PixArt           --caption [--latent], PixArt with size conditions also
                          --resolution --aspect-ratio
  SD3                     --pooled-projection [--caption --latent]
  Flux                    --pooled-projection [--caption --latent], --guidance if guidance_embeds
  Wan                     --caption [--latent], [--image] if image_dim
  HunyuanVideo            --pooled-projection [--latent], --guidance unless guidance_embeds is false
  Sana                    [--caption --latent], --guidance if guidance_embeds
  LTX-Video, Allegro      [--caption --latent]
  CogVideoX               [--caption with --latent], --ofs if ofs_embed_dim
  Qwen-Image              [--latent], --addition-t-cond if use_additional_t_cond
The latent is [B,C,H,W] for SD3 and Sana; [B,C,F,H,W] for Wan, HunyuanVideo and Allegro; [B,F,C,H,W]
for CogVideoX; packed, [B,N,K], for Flux, LTX-Video and Qwen-Image. Timesteps and guidance are as
the model's layer takes them: those of Flux are multiplied by 1000.

In a file, the tensor of the input's name is taken ('latent', 'caption', 'image',
'pooled_projection'), else its only one.
--steps 20 means the timesteps 999, 949, 899 … 49: 999 - floor(1000 i / steps). For Qwen-Image they
are divided by 1000, because its layer takes 0 to 1.

The file written holds, for batch B, F frames, N tokens and D channels:
  encoder_hidden_states  [B,L,D]       the captions, projected
  encoder_hidden_states_image          the image encoder's states, projected (Wan)
  modulation             [steps,B,6D]  adaptive layer norm, for each timestep
  embedded_timestep      [steps,B,D]   the timesteps (and other conditions), embedded
  temb                   [steps,B,D]   the same, for models without modulation in these layers
  timestep_proj          [steps,B,6D]  the projection of temb (Wan)
  hidden_states          [B,N,D]       the latent's patches with their positions; [B*F,N,D] for
                                       Latte and Allegro; with the captions before for CogVideoX
  temp_pos_embed         [1,F,D]       the positions of the frames (Latte); without a latent video
                                       F is the model's number of frames

Examples:
  $ latte-embeddings embed --checkpoint ./Latte-1/transformer --steps 20 \\
      --latent random:1,4,16,64,64 --caption random:1,120 -o conditions.safetensors
  $ latte-embeddings embed --checkpoint ./Latte-1/transformer --timesteps 999,500,1 \\
      --latent latent.safetensors --caption caption.safetensors --dtype float16 \\
      -o conditions.safetensors
  $ latte-embeddings embed --checkpoint ./FLUX.1-dev/transformer --steps 28 --guidance 3500 \\
      --latent random:1,4096 --caption random:1,512 --pooled-projection random:1 \\
      -o conditions.safetensors`,
    )
    .action(async (options: EmbedOptions, command: Command) => {
      const { caption, latent, pooledProjection, image } = options;
      const sources = [caption, latent, pooledProjection, image].filter(
        (from) => from !== undefined,
      );
      if (
        command.getOptionValueSource('seed') === 'cli' &&
        sources.every(({ kind }) => kind === 'file')
      ) {
        throw new LatteError('ERR_VALUE', '--seed has no effect: no input is random:');
      }
      checkEnding(options.output);
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

/** Refuses the ending of another format of tensors: its readers would not take what is written. */
function checkEnding(path: string): void {
  const ending = extname(path).toLowerCase();
  if (!['.npz', '.npy', '.ckpt', '.pt', '.pth', '.bin'].includes(ending)) return;
  throw new LatteError(
    'ERR_VALUE',
    `-o: embed writes a .safetensors file, but ${path} ends with ${ending}`,
  );
}

async function embed(options: EmbedOptions, progress: Progress): Promise<void> {
  const { devices, LatteEmbeddings, loadEmbeddings } = await import('../index.js');
  const { writeSafetensors } = await import('../checkpoint/write-safetensors.js');
  const times = [performance.now()];
  // Resolve 'auto' here: the report names the device, so the library's warning is not needed.
  const automatic = options.device === undefined || options.device === 'auto';
  const npu = devices().find(({ kind }) => kind === 'npu');
  using model = await loadEmbeddings(options.checkpoint, {
    device: automatic ? (npu?.name ?? 'cpu') : options.device,
    dtype: options.dtype,
    onProgress: ({ loaded, total }) => {
      progress.show((0.5 * loaded) / Math.max(total, 1), 'loading weights');
    },
  });
  times.push(performance.now());
  const isLatte = model instanceof LatteEmbeddings;
  const { largestTimestep = 1000 } = isLatte ? {} : model.conditioning;
  const timesteps =
    options.timesteps ??
    spacedTimesteps(options.steps).map((timestep) => (timestep * largestTimestep) / 1000);
  const outputs = isLatte
    ? await embedLatte(model, timesteps, options, progress)
    : await embedTransformer(model, timesteps, options, progress);
  times.push(performance.now());

  progress.show(0.8, `writing ${options.output}`);
  const { dtype, device } = isLatte ? model.patchEmbed : model.layers[model.conditioning.latent]!;
  const metadata = {
    timesteps: timesteps.join(','),
    dtype,
    latte_embeddings_version: packageVersion(),
  };
  await writeComplete(options.output, (path) => writeSafetensors(path, outputs, { metadata }));
  times.push(performance.now());
  progress.stop();
  report(options, outputs, timesteps, device, times);
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
    `${counted(timesteps.length, 'timestep')}, on ${device}: ` +
      `weights loaded in ${load}, computed in ${compute}, written in ${write}\n`,
  );
  if (options.latent === undefined) {
    process.stdout.write('No hidden_states: they need a --latent\n');
  }
}
