import { fork } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command, InvalidArgumentError } from 'commander';
import { allCases } from './cases/index.js';
import { writeChart } from './chart.js';
import { buildLimits } from './limits.js';
import { describeMachine } from './machine.js';
import { judge, type Mark } from './marks.js';
import { runsCommand } from './runs/command.js';
import { caseText, markdownReport, replaceGenerated, verdictTable, type Report } from './report.js';
import type { CaseRequest } from './run-case.js';
import type { CaseResult } from './types.js';

interface Options {
  list?: boolean;
  rounds: number;
  threads: number[];
  python: string;
  json?: string;
  chart?: string;
  markdown?: string;
  check?: string;
  from?: string;
}

const folder = dirname(fileURLToPath(import.meta.url));
const ownMarks = join(folder, 'marks.json');
/** Peers are measured once, with all threads; fewer threads compare the product with the machine. */
const threadGroups = ['PatchEmbed', 'CaptionProjection', 'TimestepEmbedding'];

function positive(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new InvalidArgumentError('Not a count.');
  return value;
}

/** Measures one case in a process of its own, because a process has one number of threads. */
function inProcess(request: CaseRequest): Promise<CaseResult> {
  return new Promise((fulfil, reject) => {
    const env = { ...process.env, LATTE_NUM_THREADS: String(request.context.threads) };
    const child = fork(join(folder, 'run-case.ts'), { env });
    let answer: { result?: CaseResult; error?: string } = {};
    child.on('message', (message: typeof answer) => (answer = message));
    child.on('close', (status) => {
      if (answer.result !== undefined) fulfil(answer.result);
      else reject(new Error(answer.error ?? `${request.id}: the process ended with ${status}`));
    });
    child.send(request);
  });
}

async function measureAll(filters: string[], options: Options): Promise<CaseResult[]> {
  const python = existsSync(options.python) ? options.python : undefined;
  const cases = allCases().filter(
    ({ id, group }) =>
      filters.length === 0 || filters.some((filter) => id.includes(filter) || group === filter),
  );
  if (cases.length === 0) throw new Error(`no case has ${filters.join(' or ')} in its name`);
  const most = Math.max(...options.threads);
  const results: CaseResult[] = [];
  for (const { id, group } of cases) {
    for (const threads of options.threads) {
      if (threads !== most && !threadGroups.includes(group)) continue;
      const context = { threads, peers: threads === most, python };
      try {
        const result = await inProcess({ id, rounds: options.rounds, context });
        console.log(`\n${caseText(result)}`);
        results.push(result);
      } catch (error) {
        // The other cases are still measured.
        console.error(`\n${id}, ${threads} threads: ${(error as Error).message}`);
        process.exitCode = 1;
      }
    }
  }
  return results;
}

async function measured(filters: string[], options: Options): Promise<Report> {
  buildLimits();
  const machine = await describeMachine();
  const words = [...filters, '--rounds', options.rounds];
  return {
    date: new Date().toISOString(),
    command: `npm run bench -- ${words.join(' ')}`,
    rounds: options.rounds,
    machine,
    results: await measureAll(filters, options),
    verdicts: [],
  };
}

async function run(filters: string[], options: Options): Promise<void> {
  if (options.list === true) {
    for (const { id, title } of allCases()) console.log(`${id.padEnd(20)} ${title}`);
    return;
  }
  const marksFile = options.check ?? ownMarks;
  const marks = JSON.parse(readFileSync(marksFile, 'utf8')) as Mark[];
  const report =
    options.from === undefined
      ? await measured(filters, options)
      : (JSON.parse(readFileSync(options.from, 'utf8')) as Report);
  report.verdicts = judge(marks, report.results);
  if (report.verdicts.length > 0) console.log(`\n### Marks\n\n${verdictTable(report.verdicts)}`);
  if (options.json !== undefined) {
    writeFileSync(options.json, `${JSON.stringify(report, null, 2)}\n`);
  }
  if (options.chart !== undefined) await writeChart(options.chart, report);
  if (options.markdown !== undefined) {
    const chart =
      options.chart === undefined
        ? undefined
        : relative(dirname(resolve(options.markdown)), resolve(options.chart));
    const text = readFileSync(options.markdown, 'utf8');
    writeFileSync(
      options.markdown,
      await formatted(options.markdown, replaceGenerated(text, markdownReport(report, chart))),
    );
  }
  if (options.check !== undefined && report.verdicts.some(({ reached }) => reached === false)) {
    process.exitCode = 1;
  }
}

/** Formats a file as `npm run format` does. */
async function formatted(path: string, text: string): Promise<string> {
  const prettier = await import('prettier');
  const config = await prettier.resolveConfig(path);
  return prettier.format(text, { ...config, filepath: path });
}

await new Command('bench')
  .description('Measures the product, its peers and the machine in alternation.')
  .argument('[filter...]', 'part of a case’s name, or a group; default: all')
  .option('--list', 'the cases, without measuring')
  .option('--rounds <n>', 'samples of each row', positive, 17)
  .option(
    '--threads <n,…>',
    'thread counts; the largest has the peers',
    (text: string) => text.split(',').map(positive),
    [...new Set([availableParallelism(), 1])],
  )
  .option(
    '--python <path>',
    'a Python with numpy, torch, mindspore, openvino (bench/python/setup.sh makes one)',
    join(folder, 'python', '.venv', 'bin', 'python'),
  )
  .option('--json <file>', 'all figures')
  .option('--chart <file>', 'a picture, as SVG')
  .option('--markdown <file>', 'replaces the generated part of docs/benchmarks.md')
  .option('--from <file>', 'the figures of an earlier --json, instead of measuring')
  .option('--check <file>', 'exit status 1 unless all marks of the file are reached')
  .action(run)
  .addCommand(runsCommand())
  .parseAsync();
