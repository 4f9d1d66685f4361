import { Command, Option } from 'commander';
import { writeFile } from 'node:fs/promises';
import { extname } from 'node:path';
import { LatteError } from '../errors.js';
import { counted } from './format.js';
import { gridSize, numberList, positiveNumber, spacedTimesteps, wholeNumber } from './options.js';
import { checkOutput, writeComplete } from './output-file.js';
import type { HeatMap, Picture } from './plot/heat-map.js';

interface PosEmbedOptions {
  embedDim: number;
  grid?: [number, number];
  length?: number;
  interpolationScale: number;
  baseSize: number;
  output: string;
}

interface TimestepsOptions {
  numChannels: number;
  steps?: number;
  timesteps?: number[];
  output: string;
}

const outputHelp =
  'the .svg file to write (required), or a .png, which needs the optional package @napi-rs/canvas';

// A heat map is at most 1600 pixels wide and high, so more values would only be averaged away.
const maxValues = 2 ** 26;

/** `plot`: draws heat maps of position tables and of timestep sinusoids. */
export function plotCommand(): Command {
  return new Command('plot')
    .description('draw a heat map of a position table or of timestep sinusoids, as SVG or PNG')
    .addCommand(posEmbedCommand())
    .addCommand(timestepsCommand());
}

function posEmbedCommand(): Command {
  return new Command('pos-embed')
    .description(
      'draw a sine-cosine position table: of the tokens of a frame (--grid) or of the frames of ' +
        'a video (--length)',
    )
    .option('--embed-dim <n>', 'channels of the table', wholeNumber(1), 64)
    .addOption(
      new Option('--grid <rows>x<columns>', 'tokens of a frame (default: 16x16)')
        .argParser(gridSize)
        .conflicts('length'),
    )
    .option('--length <n>', 'frames of a video', wholeNumber(1))
    .option('--interpolation-scale <x>', 'what positions are divided by', positiveNumber, 1)
    .addOption(
      new Option('--base-size <n>', 'grid size that positions are scaled to')
        .argParser(wholeNumber(1))
        .default(16)
        .conflicts('length'),
    )
    .requiredOption('-o, --output <file>', outputHelp)
    .addHelpText(
      'after',
      `
Examples:
  $ latte-embeddings plot pos-embed --embed-dim 64 --grid 16x16 -o frame.svg
  $ latte-embeddings plot pos-embed --embed-dim 64 --length 16 -o video.svg`,
    )
    .action(async (options: PosEmbedOptions) => {
      checkPicture(options.output);
      await draw(await posEmbedMap(options), options.output);
    });
}

function timestepsCommand(): Command {
  return new Command('timesteps')
    .description('draw the sinusoids of timesteps, as the layers project them: [cos | sin]')
    .option('--num-channels <n>', 'channels of a sinusoid', wholeNumber(2), 256)
    .addOption(
      new Option('--timesteps <t,t,…>', 'which timesteps (default: 0 to 999)')
        .argParser(numberList)
        .conflicts('steps'),
    )
    .option('--steps <n>', 'this many timesteps, evenly spaced from 999', wholeNumber(1, 1000))
    .requiredOption('-o, --output <file>', outputHelp)
    .addHelpText(
      'after',
      `
Examples:
  $ latte-embeddings plot timesteps -o timesteps.svg
  $ latte-embeddings plot timesteps --num-channels 64 --steps 20 -o twenty.svg`,
    )
    .action(async (options: TimestepsOptions) => {
      checkPicture(options.output);
      await draw(await timestepsMap(options), options.output);
    });
}

async function posEmbedMap(options: PosEmbedOptions): Promise<HeatMap> {
  const { get1dSincosPosEmbed, get2dSincosPosEmbed } = await import('../index.js');
  const { embedDim, interpolationScale, baseSize, length } = options;
  const scale = interpolationScale === 1 ? '' : ` · interpolation scale ${interpolationScale}`;
  // Half of the channels are sines, half cosines; of a frame, half of each for either axis.
  const divisor = length === undefined ? 4 : 2;
  if (embedDim % divisor !== 0) {
    const table = length === undefined ? 'frame' : 'video';
    throw new LatteError(
      'ERR_VALUE',
      `--embed-dim must be divisible by ${divisor} for the table of a ${table}, but is ${embedDim}`,
    );
  }
  if (length !== undefined) {
    checkSize(length, embedDim);
    return {
      title: 'Position table of a video’s frames',
      subtitle: `${counted(length, 'frame')} × ${counted(embedDim, 'channel')}${scale}`,
      rows: length,
      columns: embedDim,
      values: get1dSincosPosEmbed(embedDim, length, { interpolationScale }).toFloat32Array(),
      xLabel: 'channel',
      yLabel: 'frame',
      bands: ['sin', 'cos'],
    };
  }
  const [rows, columns] = options.grid ?? [16, 16];
  checkSize(rows * columns, embedDim);
  const table = get2dSincosPosEmbed(embedDim, [rows, columns], { interpolationScale, baseSize });
  const base = baseSize === 16 ? '' : ` · base size ${baseSize}`;
  return {
    title: 'Position table of a frame’s tokens',
    subtitle: `grid of ${rows} × ${columns} tokens × ${embedDim} channels${scale}${base}`,
    rows: rows * columns,
    columns: embedDim,
    values: table.toFloat32Array(),
    xLabel: 'channel',
    yLabel: `token = row · ${columns} + column`,
    bands: ['sin, column', 'cos, column', 'sin, row', 'cos, row'],
    rowUnit: columns,
  };
}

async function timestepsMap(options: TimestepsOptions): Promise<HeatMap> {
  const { getTimestepEmbedding } = await import('../index.js');
  const { numChannels, steps } = options;
  const timesteps =
    options.timesteps ??
    (steps === undefined ? Array.from({ length: 1000 }, (_, t) => t) : spacedTimesteps(steps));
  checkSize(timesteps.length, numChannels);
  const sinusoids = getTimestepEmbedding(timesteps, numChannels, {
    flipSinToCos: true,
    downscaleFreqShift: 0,
  });
  return {
    title: 'Sinusoids of timesteps',
    subtitle: `${counted(timesteps.length, 'timestep')} × ${numChannels} channels`,
    rows: timesteps.length,
    columns: numChannels,
    values: sinusoids.toFloat32Array(),
    xLabel: 'channel',
    yLabel: 'timestep',
    // An odd number of channels ends with a column of zeros, which belongs to neither half.
    bands: numChannels % 2 === 0 ? ['cos', 'sin'] : [],
    rowLabel: (row) => String(timesteps[row]).replace('-', '\u2212'),
  };
}

function checkSize(rows: number, columns: number): void {
  if (rows * columns > maxValues) {
    throw new Error(
      `a table of ${rows} x ${columns} values is too large for a picture (the most is 2^26 values)`,
    );
  }
}

/** Refuses an ending of another format than SVG and PNG. A file without an ending is an SVG. */
function checkPicture(path: string): void {
  checkOutput(path);
  const ending = extname(path).toLowerCase();
  if (!['', '.svg', '.png'].includes(ending)) {
    throw new Error(`-o: a picture is an .svg or a .png, but ${path} ends with ${ending}`);
  }
}

async function draw(map: HeatMap, path: string): Promise<void> {
  const { divergingColors } = await import('./plot/colors.js');
  const { drawHeatMap } = await import('./plot/heat-map.js');
  const { drawPng } = await import('./plot/canvas.js');
  const colors = await divergingColors();
  const picture = (fontFamily: string): Picture => drawHeatMap(map, colors, fontFamily);
  const bytes =
    extname(path).toLowerCase() === '.png'
      ? await drawPng(picture)
      : picture('system-ui, sans-serif').svg;
  await writeComplete(path, (temporary) => writeFile(temporary, bytes));
  process.stdout.write(`${path}\n`);
}
