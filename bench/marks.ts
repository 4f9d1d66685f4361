import { median } from './measure.js';
import type { CaseResult, Row } from './types.js';

/** A goal of the benchmark: how a row of the product compares with a peer's best row, or with a limit. */
export interface Mark {
  case: string;
  /** Threads of the run that the mark is for; default: the most that were measured. */
  threads?: number;
  /** The product's row: its variant begins with this. */
  row: string;
  /** The peer's name; its fastest row counts. Absent: the mark is a part of the machine's limit. */
  peer?: string;
  /** How many times as fast as the peer, or which part of the limit's speed (0 to 1). */
  atLeast: number;
  /** If the mark is missed: what was tried, and why it is not faster. */
  note?: string;
}

export interface Verdict {
  mark: Mark;
  title: string;
  /** Undefined if this run did not measure the two rows. */
  value?: number;
  /** Undefined if the limit's samples scatter too much in this run to judge by it. */
  reached: boolean | undefined;
  /** The two rows that were compared, as a text. */
  text: string;
}

export function bestOf(result: CaseResult, name: string): Row | undefined {
  return result.rows
    .filter((row) => row.name === name && row.side === 'peer' && !row.preliminary)
    .sort((a, b) => a.median - b.median)[0];
}

/** The limit of a row: of those for its dtype, the one that takes longest. */
export function limitOf(result: CaseResult, row: Row): Row | undefined {
  return result.rows
    .filter(({ side, limits }) => side === 'limit' && limits!.includes(row.dtype ?? ''))
    .sort((a, b) => b.median - a.median)[0];
}

/**
 * How many times as fast as `against` a row is: the median over the rounds. Each round measured both,
 * because the machine's speed changes between rounds more than within one.
 */
export function ratio(against: Row, row: Row): number {
  if (against.figures.length !== row.figures.length) return against.median / row.median;
  return median(against.figures.map((figure, round) => figure / row.figures[round]!));
}

/** How far apart the quartiles of a row's samples are, as a share of their median. */
export function scatter({ figures, median: middle }: Row): number {
  const sorted = [...figures].sort((a, b) => a - b);
  const at = (part: number): number => sorted[Math.round(part * (sorted.length - 1))]!;
  return (at(0.75) - at(0.25)) / middle;
}

/** Marks that are a share of a limit are not judged if the limit scatters more than this. */
const mostScatter = 0.1;

/**
 * The machine's memory has two speeds, which last for minutes. Samples that differ by this factor are from
 * both.
 */
const stateGap = 1.3;

/**
 * The shares of the limit in the machine's faster and in its slower state; one share if the limit's samples
 * have no gap.
 */
export function shares(limit: Row, row: Row): number[] {
  if (limit.figures.length !== row.figures.length) return [ratio(limit, row)];
  const pairs = limit.figures
    .map((figure, round) => ({ figure, share: figure / row.figures[round]! }))
    .sort((a, b) => a.figure - b.figure);
  const fewest = 3;
  for (let i = fewest; i <= pairs.length - fewest; i++) {
    if (pairs[i]!.figure < stateGap * pairs[i - 1]!.figure) continue;
    return [pairs.slice(0, i), pairs.slice(i)].map((some) => median(some.map((p) => p.share)));
  }
  return [median(pairs.map(({ share }) => share))];
}

function judgeOne(mark: Mark, results: CaseResult[]): Verdict | undefined {
  const candidates = results.filter(
    ({ id, threads }) => id === mark.case && (mark.threads ?? threads) === threads,
  );
  // The run with all threads comes first, and is the one with peers.
  const result = candidates[0];
  if (result === undefined) return undefined;
  const title = `${result.title} (${result.threads} thread${result.threads === 1 ? '' : 's'})`;
  const row = result.rows.find(
    ({ side, variant }) => side === 'product' && variant.startsWith(mark.row),
  );
  const against =
    row === undefined
      ? undefined
      : mark.peer === undefined
        ? limitOf(result, row)
        : bestOf(result, mark.peer);
  if (row === undefined || against === undefined) {
    const text = `no figure for ${row === undefined ? mark.row : (mark.peer ?? 'the limit')}`;
    return { mark, title, reached: false, text };
  }
  const value = ratio(against, row);
  const text = against.name;
  if (mark.peer === undefined && scatter(against) > mostScatter) {
    return { mark, title, value, reached: undefined, text };
  }
  return { mark, title, value, reached: value >= mark.atLeast, text };
}

/** A verdict for each mark whose case was measured. */
export function judge(marks: Mark[], results: CaseResult[]): Verdict[] {
  return marks.map((mark) => judgeOne(mark, results)).filter((verdict) => verdict !== undefined);
}
