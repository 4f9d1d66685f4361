import { Command, Option } from 'commander';
import type { FloatDType } from '../index.js';
import { latteXl, small } from './bench/layer-rows.js';
import { timeLayers, type Timing } from './bench/time-layers.js';
import { formatTable, printJson } from './format.js';
import { deviceName } from './options.js';
import { createProgress } from './progress.js';

interface BenchOptions {
  device?: string;
  dtype?: FloatDType;
  quick?: boolean;
  json?: boolean;
}

const dtypes: readonly FloatDType[] = ['float32', 'float16', 'bfloat16'];

/** A time with three digits, in µs, ms or s. */
function formatMilliseconds(milliseconds: number): string {
  if (milliseconds < 1) return `${Number((milliseconds * 1000).toPrecision(3))} µs`;
  if (milliseconds < 1000) return `${Number(milliseconds.toPrecision(3))} ms`;
  return `${Number((milliseconds / 1000).toPrecision(3))} s`;
}

function rowOf({ layer, model, dtype, milliseconds, code }: Timing): string[] {
  if (milliseconds === undefined) return [layer, model, dtype, code ?? 'failed', '', ''];
  const { median, least, queued } = milliseconds;
  return [layer, model, dtype, ...[median, least, queued].map(formatMilliseconds)];
}

/** `bench`: measures how long the layers take on this machine. */
export function benchCommand(): Command {
  return new Command('bench')
    .description("time a forward of each layer at its model's sizes")
    .option('--device <name>', 'auto, cpu, npu or npu:0, npu:1 … (default: auto)', deviceName)
    .addOption(new Option('--dtype <name>', 'one dtype instead of all').choices(dtypes))
    .option('--quick', 'tiny layers: shows that they run, and nothing of speed')
    .option('--json', 'print JSON instead of a table')
    .addHelpText(
      'after',
      `
MODEL is the model whose sizes a layer has: Latte-XL with 16 frames of 512×512 and guidance, Wan with 81
frames of 832×480, CogVideoX with 49 frames of 720×480, and one step of the others.
MEDIAN and LEAST are the times of a forward that is awaited, with inputs and results on the device.
QUEUED is the time of one of many forwards that are started together, divided by their number. If a
layer fails, the MEDIAN column shows the code of its error.`,
    )
    .action(async ({ device: wanted, dtype, quick, json }: BenchOptions) => {
      const library = await import('../index.js');
      const npu = library.devices().find(({ kind }) => kind === 'npu');
      const device = wanted === undefined || wanted === 'auto' ? (npu?.name ?? 'cpu') : wanted;
      const sizes = quick ? small : latteXl;
      const progress = createProgress();
      let timings: Timing[];
      try {
        const asked = dtype === undefined ? dtypes : [dtype];
        timings = await timeLayers(library, sizes, device, asked, (done, activity) =>
          progress.show(done, activity),
        );
      } finally {
        progress.stop();
      }
      if (json) return printJson({ device, sizes, timings });
      const header = ['LAYER', 'MODEL', 'DTYPE', 'MEDIAN', 'LEAST', 'QUEUED'];
      process.stdout.write(formatTable([header, ...timings.map(rowOf)], [3, 4, 5]));
      process.stdout.write(
        `\n${quick ? 'Tiny layers' : "Layers at their models' sizes"}, on ${device}.\n`,
      );
    });
}
