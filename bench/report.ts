import { markdownTable } from 'markdown-table';
import { bestOf, limitOf, shares, type Verdict } from './marks.js';
import type { Machine } from './machine.js';
import type { CaseResult, Row, Unit } from './types.js';

export interface Report {
  date: string;
  command: string;
  rounds: number;
  machine: Machine;
  results: CaseResult[];
  verdicts: Verdict[];
}

export function formatFigure(figure: number, unit: Unit): string {
  if (unit === 'bytes') return `${(figure / 1e6).toPrecision(3)} MB`;
  const milliseconds = figure / 1e6;
  if (milliseconds >= 1000) return `${(milliseconds / 1000).toPrecision(3)} s`;
  if (milliseconds >= 1) return `${milliseconds.toPrecision(3)} ms`;
  return `${(milliseconds * 1000).toPrecision(3)} µs`;
}

export const times = (ratio: number): string =>
  `${ratio >= 100 ? ratio.toFixed(0) : ratio.toPrecision(3)}×`;

const percent = (part: number): string => `${(100 * part).toFixed(0)} %`;

/** The row that the others of a case are compared with: the product's first. */
export function referenceRow(result: CaseResult): Row {
  return result.rows.find(({ side }) => side === 'product')!;
}

function rowCells(row: Row, result: CaseResult): string[] {
  const { unit } = result;
  const reference = referenceRow(result);
  const limit = row.side === 'product' ? limitOf(result, row) : undefined;
  return [
    row.side === 'limit' ? `machine: ${row.name}` : row.name,
    row.variant,
    formatFigure(row.median, unit),
    `${formatFigure(row.min, unit)} – ${formatFigure(row.max, unit)}`,
    row === reference ? '1' : times(row.median / reference.median),
    limit === undefined ? '' : shares(limit, row).map(percent).join(' / '),
  ];
}

/** The table of one case: the product, its peers from the fastest on, the machine's limits. */
export function caseTable(result: CaseResult): string {
  const order = { product: 0, peer: 1, limit: 2 };
  const rows = result.rows
    .filter(({ preliminary }) => preliminary !== true)
    .sort((a, b) => order[a.side] - order[b.side] || (a.side === 'peer' ? a.median - b.median : 0));
  const head = ['', 'variant', 'median', 'min – max', 'relative', 'of the limit'];
  return markdownTable([head, ...rows.map((row) => rowCells(row, result))], {
    align: ['l', 'l', 'r', 'r', 'r', 'r'],
    stringLength: (text) => [...text].length,
  });
}

export function caseText(result: CaseResult): string {
  const threads = `${result.threads} thread${result.threads === 1 ? '' : 's'}`;
  const lines = [
    `### ${result.title}`,
    '',
    `${threads}, ${result.rounds} rounds.`,
    '',
    caseTable(result),
  ];
  const slower = fasterPeers(result);
  if (slower.length > 0) lines.push('', `Faster here than the product: ${slower.join('; ')}.`);
  if (result.note !== undefined) lines.push('', result.note);
  for (const peer of result.missing) lines.push('', `Not measured: ${peer}.`);
  return lines.join('\n');
}

/** The names of the peers that are faster than the product's best row of the same precision. */
function fasterPeers(result: CaseResult): string[] {
  const names = [...new Set(result.rows.filter(({ side }) => side === 'peer').map((r) => r.name))];
  return names.flatMap((name) => {
    const peer = bestOf(result, name)!;
    const dtype = name.endsWith('bfloat16') ? 'bfloat16' : 'float32';
    const ours = result.rows
      .filter((row) => row.side === 'product' && (row.dtype ?? 'float32') === dtype)
      .sort((a, b) => a.median - b.median)[0];
    if (ours === undefined || peer.median >= ours.median) return [];
    return [`${name} (${times(ours.median / peer.median)})`];
  });
}

function verdictText(reached: boolean | undefined): string {
  if (reached === undefined) return 'not judged: the limit scattered';
  return reached ? 'reached' : '**not reached**';
}

export function verdictTable(verdicts: Verdict[]): string {
  const head = ['shape', 'row', 'against', 'to reach', 'measured', ''];
  const rows = verdicts.map(({ mark, title, value, reached, text }) => {
    const show = mark.peer === undefined ? percent : times;
    return [
      title,
      mark.row,
      text,
      `≥ ${show(mark.atLeast)}`,
      value === undefined ? '–' : show(value),
      value === undefined ? 'not measured' : verdictText(reached),
    ];
  });
  return markdownTable([head, ...rows], {
    align: ['l', 'l', 'l', 'r', 'r', 'l'],
    stringLength: (text) => [...text].length,
  });
}

function machineText({ date, command, machine }: Report): string {
  return [
    `Measured on ${date.slice(0, 10)} with \`${command}\`:`,
    `${machine.processor}, ${machine.cores} cores, ${machine.instructions}, L3 ${machine.cache},`,
    `${(machine.memoryBytes / 2 ** 30).toFixed(0)} GiB, Linux ${machine.kernel}; Node ${machine.node},`,
    `latte-embeddings ${machine.product}, onnxruntime-node ${machine.onnxruntime}.`,
  ].join('\n');
}

/** The generated part of docs/benchmarks.md. */
export function markdownReport(report: Report, chart: string | undefined): string {
  const parts = [machineText(report)];
  if (chart !== undefined) parts.push(`![The product beside its peers](${chart})`);
  if (report.verdicts.length > 0) {
    parts.push('## Marks', verdictTable(report.verdicts));
    const missed = report.verdicts.filter(({ reached, mark }) => reached === false && mark.note);
    const notes = [...new Set(missed.map(({ mark }) => mark.note!))].map((note) => {
      const shapes = missed
        .filter(({ mark }) => mark.note === note)
        .map(({ title, mark }) => `${title}, ${mark.row}`);
      return `- ${shapes.join('; ')}: ${note}.`;
    });
    if (notes.length > 0) parts.push('Where a mark is missed:', notes.join('\n'));
  }
  let group = '';
  for (const result of report.results) {
    if (result.group !== group) parts.push(`## ${(group = result.group)}`);
    parts.push(caseText(result));
  }
  return `${parts.join('\n\n')}\n`;
}

const begin = '<!-- Made by `npm run bench`: do not edit from here on. -->';
const end = '<!-- To here. -->';

/** Replaces the text between the two marker lines. */
export function replaceGenerated(text: string, generated: string): string {
  const from = text.indexOf(begin);
  const to = text.indexOf(end);
  if (from < 0 || to < from) throw new Error(`the file lacks the lines ${begin} and ${end}`);
  return `${text.slice(0, from + begin.length)}\n\n${generated}\n${text.slice(to)}`;
}
