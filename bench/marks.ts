import type { CaseResult, Row } from './types.js';

/** A goal of the benchmark: a row of the product compared with a peer's best row, or with a limit. */
export interface Mark {
  case: string;
  /** Threads of the run that the mark is for; default: the most there were. */
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
  /** Undefined if this run has no such figure. */
  value?: number;
  reached: boolean;
  /** What was compared, for the reader. */
  text: string;
}

export function bestOf(result: CaseResult, name: string): Row | undefined {
  return result.rows
    .filter((row) => row.name === name && row.side === 'peer' && !row.preliminary)
    .sort((a, b) => a.median - b.median)[0];
}

export function limitOf(result: CaseResult, row: Row): Row | undefined {
  return result.rows.find(
    ({ side, limits }) => side === 'limit' && limits!.includes(row.dtype ?? ''),
  );
}

function judgeOne(mark: Mark, results: CaseResult[]): Verdict | undefined {
  const candidates = results.filter(
    ({ id, threads }) => id === mark.case && (mark.threads ?? threads) === threads,
  );
  // The run with all threads comes first and has the peers.
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
  const value = against.median / row.median;
  return { mark, title, value, reached: value >= mark.atLeast, text: against.name };
}

/** A verdict for each mark whose case was measured. */
export function judge(marks: Mark[], results: CaseResult[]): Verdict[] {
  return marks.map((mark) => judgeOne(mark, results)).filter((verdict) => verdict !== undefined);
}
