import { Command } from 'commander';
import { existsSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Checkpoint } from '../checkpoint/checkpoint.js';
import type { LatteConfig } from '../checkpoint/latte-config.js';
import type { Conditioning, LayerRow, ModelRow } from '../checkpoint/model-row.js';
import type { FoundParameters, UnusedTensor } from '../checkpoint/names.js';
import { bitWidth, storedBytes } from '../checkpoint/stored-tensor.js';
import { show } from '../errors.js';
import { conditionsOf, type ConditionName } from '../transformer/conditions.js';
import { counted, formatBytes, formatTable, printJson } from './format.js';

interface Listed {
  name: string;
  dtype: string;
  shape: number[];
  /** The size in the file; 0 for strings, whose size the directory does not have. */
  bytes: number;
}

// Without the parsed file, which would repeat every field.
type Config = Omit<LatteConfig, 'raw'> & { raw: undefined };

interface SiblingModel {
  className: string;
  /** The source of the rules that give the layers. */
  readFrom: string;
  /** The conditions that `prepare` takes; undefined for a model without a plan. */
  conditions?: { needed: ConditionName[]; optional: ConditionName[] };
  /** Why the model has no plan. */
  noPlan?: string;
  layers: { name: string; kind: string; options: Readonly<Record<string, unknown>> }[];
}

interface Inspection {
  path: string;
  format: string;
  /** The naming scheme of the weights; undefined without a config.json. */
  scheme?: string;
  /** The configuration of a Latte or PixArt model. */
  config?: Config;
  /** The configuration of another model. */
  model?: SiblingModel;
  /** The tensors of the embedding layers; without a config.json all tensors. */
  tensors: Listed[];
  /** Tables that the checkpoint has and that are not used. */
  unused: (Listed & { reason: string })[];
  /** The reasons why loading refuses the checkpoint; empty if it can be loaded. */
  problems: string[];
  skipped: { count: number; bytes: number };
}

/** `inspect`: shows what a checkpoint has, without reading a weight. */
export function inspectCommand(): Command {
  return new Command('inspect')
    .description('show which embedding layers a checkpoint holds')
    .argument(
      '<checkpoint>',
      'folder with config.json and weights, or a .safetensors, .safetensors.index.json or MindSpore .ckpt file',
    )
    .option('--json', 'print JSON instead of tables')
    .addHelpText(
      'after',
      `
No weights are read, so large checkpoints take hardly longer than small ones. Without a config.json
in the same folder, all tensors are listed. The exit status is 1 if the checkpoint cannot be loaded.

Examples:
  $ latte-embeddings inspect ./Latte-1/transformer
  $ latte-embeddings inspect conditions.safetensors --json`,
    )
    .action(async (path: string, options: { json?: boolean }) => {
      const { openCheckpoint } = await import('../index.js');
      const found = checkpointPath(path);
      const checkpoint = await openCheckpoint(found);
      try {
        const inspection = await inspect(checkpoint, found);
        if (options.json) printJson(inspection);
        else print(inspection);
        if (inspection.problems.length > 0) process.exitCode = 1;
      } finally {
        await checkpoint.close();
      }
    });
}

/** The path to open: like `fromPretrained`, accepts the folder above `transformer`. */
function checkpointPath(path: string): string {
  const inner = join(path, 'transformer');
  return !existsSync(join(path, 'config.json')) && existsSync(join(inner, 'config.json'))
    ? inner
    : path;
}

async function inspect(checkpoint: Checkpoint, path: string): Promise<Inspection> {
  const { chooseModel, isLatte } = await import('../checkpoint/choose-model.js');
  const { latteConfig, readConfigFile } = await import('../checkpoint/config.js');
  const { Fields } = await import('../checkpoint/config-fields.js');
  const { familyOf, findParameters } = await import('../checkpoint/names.js');
  const folder = statSync(path).isDirectory() ? path : dirname(path);
  const file = existsSync(join(folder, 'config.json')) ? await readConfigFile(folder) : undefined;
  const fields = file && new Fields(file.path, file.raw);
  const chosen = fields && chooseModel(fields, familyOf(checkpoint));
  if (chosen !== undefined && !isLatte(chosen)) {
    const { row } = chosen;
    return inspectSibling(checkpoint, row, row.layers(fields!), row.conditioning(fields!));
  }
  const config = file && chosen && latteConfig(file, chosen);
  const problems: string[] = [];
  const found =
    config && findParameters(checkpoint, config, ({ message }) => problems.push(message));

  const names = found ? usedNames(found) : checkpoint.names();
  const unused = found?.unused ?? [];
  return {
    path: checkpoint.path,
    format: checkpoint.format,
    scheme: found?.scheme,
    config: config && { ...config, raw: undefined },
    tensors: names.map((name) => list(checkpoint, name)),
    unused: unused.map(({ tensor, reason }: UnusedTensor) => ({
      ...list(checkpoint, tensor),
      reason,
    })),
    problems,
    skipped: skippedBeside(checkpoint, [...names, ...unused.map(({ tensor }) => tensor)]),
  };
}

async function inspectSibling(
  checkpoint: Checkpoint,
  { className, readFrom }: ModelRow,
  rows: readonly LayerRow[],
  conditioning: Conditioning,
): Promise<Inspection> {
  const { findLayerParameters, makeLayers, rootOf } = await import('../transformer/layers.js');
  const problems: string[] = [];
  const names: string[] = [];
  const root = rootOf(checkpoint, rows);
  const layers = makeLayers(rows, 'cpu', 'float32', checkpoint.path);
  for (const row of rows) {
    const layer = layers.get(row.name)!;
    try {
      const found = findLayerParameters(checkpoint, row, layer, root);
      names.push(...found.map(({ tensor }) => tensor));
    } catch (error) {
      problems.push((error as Error).message);
    } finally {
      layer.dispose();
    }
  }
  return {
    path: checkpoint.path,
    format: checkpoint.format,
    model: {
      className,
      readFrom,
      ...(conditioning.time === undefined
        ? { noPlan: conditioning.why }
        : { conditions: conditionsOf(conditioning) }),
      layers: rows.map(({ name, kind, options }) => ({ name, kind, options })),
    },
    tensors: names.map((name) => list(checkpoint, name)),
    unused: [],
    problems,
    skipped: skippedBeside(checkpoint, names),
  };
}

function skippedBeside(checkpoint: Checkpoint, names: readonly string[]): Inspection['skipped'] {
  const used = new Set(names);
  const others = checkpoint.names().filter((name) => !used.has(name));
  const bytes = others.reduce((total, name) => total + list(checkpoint, name).bytes, 0);
  return { count: others.length, bytes };
}

function usedNames({ parameters, tempPosEmbed }: FoundParameters): string[] {
  const names = parameters.map(({ tensor }) => tensor);
  return tempPosEmbed === undefined ? names : [...names, tempPosEmbed];
}

function list(checkpoint: Checkpoint, name: string): Listed {
  const { dtype, shape } = checkpoint.info(name);
  const bytes = dtype === 'string' ? undefined : storedBytes(shape, bitWidth[dtype]);
  return { name, dtype, shape, bytes: typeof bytes === 'number' ? bytes : 0 };
}

function print(inspection: Inspection): void {
  const { path, format, scheme, config, model, tensors, unused, problems, skipped } = inspection;
  const write = (text: string) => process.stdout.write(text);
  const facts = [
    ['Checkpoint', path],
    ['Format', format === 'mindspore' ? 'MindSpore .ckpt' : 'safetensors'],
  ];
  if (scheme !== undefined) facts.push(['Names', scheme]);
  write(`${formatTable(facts)}\n`);
  if (model !== undefined) write(describeModel(model));
  else if (config === undefined) write('No config.json beside it: all tensors are listed\n\n');
  else write(`Configuration\n${formatTable(describeConfig(config))}\nEmbedding layers\n`);

  const rows = tensors.map(({ name, dtype, shape, bytes }) => [
    name,
    dtype,
    `[${shape.join(', ')}]`,
    formatBytes(bytes),
  ]);
  write(formatTable([['TENSOR', 'DTYPE', 'SHAPE', 'SIZE'], ...rows], [3]));
  if (unused.length > 0) {
    const others = unused.map(({ name, dtype, shape, reason }) => [
      name,
      dtype,
      `[${shape.join(', ')}]`,
      reason,
    ]);
    write(
      `\nStored, but not used\n${formatTable([['TENSOR', 'DTYPE', 'SHAPE', 'WHY'], ...others])}`,
    );
  }
  for (const problem of problems) write(`\nCannot be loaded: ${problem}\n`);
  const total = tensors.reduce((sum, { bytes }) => sum + bytes, 0);
  write(`\n${counted(tensors.length, 'tensor')}, ${formatBytes(total)}`);
  const others = `${counted(skipped.count, 'other tensor')}, ${formatBytes(skipped.bytes)},`;
  const are = skipped.count === 1 ? 'is' : 'are';
  write(skipped.count > 0 ? `; ${others} ${are} not needed and ${are} skipped\n` : '\n');
}

function describeModel({ className, readFrom, layers, conditions, noPlan }: SiblingModel): string {
  const facts = [
    ['class', className],
    ['rules read from', readFrom],
    ['prepare takes', conditions === undefined ? `nothing: ${noPlan}` : showConditions(conditions)],
  ];
  const left = Math.max(...layers.map(({ name }) => name.length), 'LAYER'.length);
  const middle = Math.max(...layers.map(({ kind }) => kind.length), 'CLASS'.length);
  const rows = layers.flatMap(({ name, kind, options }) => {
    const given = Object.entries(options).filter(([, value]) => value !== undefined);
    const texts = given.map(([option, value]) => `${option} ${show(value)}`);
    const [first = '', ...more] = wrap(texts, tableWidth - left - middle - 6);
    return [[name, kind, first], ...more.map((line) => ['', '', line])];
  });
  const table = formatTable([['LAYER', 'CLASS', 'OPTIONS'], ...rows]);
  return `Configuration\n${formatTable(facts)}\n${table}\nEmbedding layers\n`;
}

/** How wide the tables of layers are, in characters, if no option alone is wider. */
const tableWidth = 100;

/** Joins texts with commas to lines of at most `width` characters. */
function wrap(texts: readonly string[], width: number): string[] {
  const lines: string[] = [];
  texts.forEach((text, i) => {
    const part = i < texts.length - 1 ? `${text},` : text;
    const joined = lines.length > 0 ? `${lines.at(-1)} ${part}` : part;
    if (lines.length > 0 && joined.length <= width) lines[lines.length - 1] = joined;
    else lines.push(part);
  });
  return lines;
}

function showConditions({
  needed,
  optional,
}: {
  needed: readonly string[];
  optional: readonly string[];
}): string {
  const given = ['timesteps', ...needed].join(', ');
  return optional.length > 0 ? `${given}; may be left out: ${optional.join(', ')}` : given;
}

function describeConfig(config: Config): string[][] {
  const [height, width] = config.sampleSize;
  const [rows, columns] = config.sampleSize.map((side) => Math.floor(side / config.patchSize));
  const { numAttentionHeads: heads, attentionHeadDim: headDim } = config;
  const { model, videoLength, captionChannels, interpolationScale1d: inTime } = config;
  return [
    ['class', config.className ?? 'not named'],
    ['model', model.name],
    ['recognised by', model.because],
    ['rules read from', model.readFrom],
    ['rule in a frame', model.rules.scale2d],
    ['rule in time', model.rules.scale1d],
    ['rule of sizes', model.rules.sizes],
    ['hidden size', `${config.innerDim} (${heads} heads x ${headDim})`],
    ['latent', `${config.inChannels} channels, ${height} x ${width}`],
    ['patches', `${config.patchSize} x ${config.patchSize}: ${rows} x ${columns} tokens a frame`],
    ['frames', videoLength === null ? 'no time axis' : String(videoLength)],
    ['caption channels', captionChannels === null ? 'no projection' : String(captionChannels)],
    [
      'position scale',
      `${config.interpolationScale} in a frame${inTime === null ? '' : `, ${inTime} in time`}`,
    ],
    ['size conditions', config.useAdditionalConditions ? 'resolution and aspect ratio' : 'none'],
  ];
}
