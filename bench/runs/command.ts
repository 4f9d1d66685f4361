import { writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { Command, InvalidArgumentError } from 'commander';
import { markdownTable } from 'markdown-table';
import { median } from '../measure.js';
import { formatFigure, times } from '../report.js';
import { workOf, type CaptionWork, type ConditioningWork, type PatchWork } from '../work.js';
import { compareRuns, type RunResult } from './run.js';
import type { Place } from './types.js';

interface Options {
  small?: boolean;
  prompts: number[];
  places: Place[];
  json?: string;
}

const patch = workOf('patch-1') as PatchWork;
const caption = workOf('caption-120') as CaptionWork;

/** Latte-XL, 16 frames of 256×256 with guidance: 37.7 MB of tokens a step. */
const whole: ConditioningWork = {
  layer: 'Conditioning',
  steps: 50,
  patch: { ...patch, batch: 32, height: 32, width: 32 },
  caption,
};
/** A small run, which shows only that everything works and that both compute the same. */
const small: ConditioningWork = {
  layer: 'Conditioning',
  steps: 3,
  patch: { ...patch, batch: 16, height: 8, width: 8, dim: 144 },
  caption: { ...caption, batch: 1, tokens: 7, inFeatures: 64, dim: 144 },
};

const placeNames: Record<Place, string> = {
  main: 'all on the main thread',
  workers: 'each in a worker',
};

function tableOf({ place, prompts, rounds, rows }: RunResult): string {
  const [product, peer] = rows as [RunResult['rows'][0], RunResult['rows'][0]];
  const head = ['', 'prompts / s', 'prepare', 'step', 'step, 99th percentile'];
  const table = markdownTable(
    [
      head,
      ...rows.map((row) => [
        row.name,
        row.promptsPerSecond.toPrecision(3),
        ...[row.prepare, row.step, row.step99].map((figure) => formatFigure(figure, 'ns')),
      ]),
    ],
    { align: ['l', 'r', 'r', 'r', 'r'] },
  );
  const faster = median(product.figures.map((figure, round) => figure / peer.figures[round]!));
  return [
    `### ${prompts} prompt${prompts === 1 ? '' : 's'} at a time, ${placeNames[place]}`,
    table,
    `${rounds} round${rounds === 1 ? '' : 's'} each, in turn: ${times(faster)} the throughput, ` +
      `${times(peer.step99 / product.step99)} less at the 99th percentile.`,
  ].join('\n\n');
}

async function run(options: Options): Promise<void> {
  const work = options.small === true ? small : whole;
  const results: RunResult[] = [];
  for (const place of options.places) {
    for (const prompts of options.prompts) {
      const rounds = options.small === true ? 1 : Math.max(1, Math.round(6 / prompts));
      const result = await compareRuns(work, place, prompts, rounds);
      console.log(`\n${tableOf(result)}`);
      results.push(result);
    }
  }
  if (options.json !== undefined) {
    writeFileSync(options.json, `${JSON.stringify({ work, results }, null, 2)}\n`);
  }
}

const listOf =
  <T>(parse: (text: string) => T | undefined) =>
  (text: string): T[] =>
    text.split(',').map((item) => {
      const value = parse(item);
      if (value === undefined) throw new InvalidArgumentError(`“${item}” is none of them.`);
      return value;
    });

export function runsCommand(): Command {
  return new Command('runs')
    .description(
      `Whole sampling runs in one process, against onnxruntime-node: prepare and ${whole.steps} × embedLatent ` +
        `of several prompts at a time; ${availableParallelism()} cores.`,
    )
    .option('--small', 'tiny layers and few steps: that it runs, and nothing of speed')
    .option(
      '--prompts <n,…>',
      'prompts at a time',
      listOf((text) =>
        Number.isInteger(Number(text)) && Number(text) > 0 ? Number(text) : undefined,
      ),
      [1, 4, 16],
    )
    .option(
      '--places <name,…>',
      'main, workers: where the prompts are',
      listOf((text) => (text === 'main' || text === 'workers' ? text : undefined)),
      ['main', 'workers'] as Place[],
    )
    .option('--json <file>', 'all figures')
    .action(run);
}
