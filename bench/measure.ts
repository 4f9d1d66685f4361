import { setTimeout as sleep } from 'node:timers/promises';
import { busyMachine } from './limits.js';
import type { Case, CaseContext, CaseResult, Row, Runner } from './types.js';

/**
 * Milliseconds of the steps in which the next runner waits until all threads of this process sleep, and the
 * most it waits. Threads of a pool spin for a while after their work, in some packages for much longer than
 * the work took, and would hold a core in the next runner's sample.
 */
const settle = 12;
const mostSettle = 2000;
/** Threads that use less of one core than this are asleep. */
const asleep = 0.1;
/** Nanoseconds of a sample. Short calls are repeated, and the sample is their mean. */
const sampleNanoseconds = 2e6;
/** How long a runner warms up before a sample: the first calls after a pause find cold caches and sleeping threads. */
const warmNanoseconds = 1e7;
/** On a busy machine a sample has to span several time slices of the scheduler. */
const busySampleNanoseconds = 2e7;
const preliminaryRounds = 4;
/** The number of calls that find out how long a call takes. */
const probes = 8;
/** Longer calls are measured without warm-up calls after the pause. */
const longNanoseconds = 3e7;
/** Longer calls are measured less often. */
const slowNanoseconds = 5e8;
const slowSamples = 4;

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

/** Nanoseconds that `call` took, for each of `count` calls. */
export function clocked(count: number, call: () => void): number[] {
  const times = new Array<number>(count);
  for (let i = 0; i < count; i++) {
    const start = process.hrtime.bigint();
    call();
    times[i] = Number(process.hrtime.bigint() - start);
  }
  return times;
}

export async function clockedAsync(count: number, call: () => Promise<void>): Promise<number[]> {
  const times = new Array<number>(count);
  for (let i = 0; i < count; i++) {
    const start = process.hrtime.bigint();
    await call();
    times[i] = Number(process.hrtime.bigint() - start);
  }
  return times;
}

/** Calls in a sample, and whether calls before it warm up, for each runner. */
interface Plan {
  runner: Runner;
  calls: number;
  warm: boolean;
  /** The largest number of samples. */
  most: number;
  samples: number[];
}

async function settled(): Promise<void> {
  for (let waited = 0; waited < mostSettle; waited += settle) {
    const before = process.cpuUsage();
    await sleep(settle);
    const { user, system } = process.cpuUsage(before); // of all threads, in microseconds
    if (user + system < settle * 1000 * asleep) return;
  }
}

async function warmUp(runner: Runner): Promise<void> {
  const begin = process.hrtime.bigint();
  do await runner.sample(1);
  while (Number(process.hrtime.bigint() - begin) < warmNanoseconds);
}

async function plan(runner: Runner, { unit, idle, busy }: Case): Promise<Plan> {
  const once = { runner, calls: 1, warm: false, most: Infinity, samples: [] };
  if (unit !== 'ns' || runner.once === true) return once;
  await settled();
  await runner.sample(1);
  let [first] = await runner.sample(1);
  if (first! > slowNanoseconds) return { ...once, most: slowSamples };
  if (first! > longNanoseconds) return once;
  if (idle !== undefined) return once;
  // The quickest of some calls, because a disturbed one would make every sample a single call.
  first = Math.min(first!, ...(await runner.sample(probes)));
  const wanted = busy === true ? busySampleNanoseconds : sampleNanoseconds;
  const most = busy === true ? 400 : 40;
  const calls = Math.min(Math.max(Math.round(wanted / first), 1), most);
  return { ...once, calls, warm: true };
}

/** A B C, B C A, …: each round begins with another runner, so that each runner follows different ones. */
async function alternate(plans: Plan[], rounds: number, idle: number | undefined): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    for (let i = 0; i < plans.length; i++) {
      const { runner, calls, warm, most, samples } = plans[(i + round) % plans.length]!;
      if (samples.length >= most) continue;
      await settled();
      if (idle !== undefined) await sleep(idle);
      if (warm) await warmUp(runner);
      samples.push(mean(await runner.sample(calls)));
    }
  }
}

function row({ runner, samples }: Plan): Row {
  return {
    side: runner.side,
    name: runner.name,
    variant: runner.variant,
    dtype: runner.dtype,
    limits: runner.limits,
    median: median(samples),
    min: Math.min(...samples),
    max: Math.max(...samples),
    samples: samples.length,
    figures: samples,
  };
}

/** The largest absolute difference, relative to the largest value of `expected`. */
export function difference(actual: Float32Array, expected: Float32Array): number {
  if (actual.length !== expected.length) return Infinity;
  let largest = 0;
  let apart = 0;
  for (let i = 0; i < expected.length; i++) {
    const distance = Math.abs(actual[i]! - expected[i]!);
    if (!(distance <= apart)) apart = distance; // NaN stays NaN
    if (Math.abs(expected[i]!) > largest) largest = Math.abs(expected[i]!);
  }
  return apart / largest;
}

/** Throws unless all runners compute the same; returns the difference of each. */
async function compare(runners: Runner[]): Promise<Map<Runner, number>> {
  const differences = new Map<Runner, number>();
  let expected: Float32Array | undefined;
  for (const runner of runners) {
    const actual = await runner.result?.();
    if (actual === undefined) continue;
    expected ??= actual;
    const apart = difference(actual, expected);
    const tolerance = runner.tolerance ?? 1e-3;
    if (!(apart <= tolerance)) {
      throw new Error(
        `${runner.name} (${runner.variant}) computes something else: ${apart} > ${tolerance}`,
      );
    }
    differences.set(runner, apart);
  }
  return differences;
}

/**
 * Measures a case. All variants of a peer run a few rounds. Only the two fastest then alternate with the
 * product, so that the product is compared with the peer's best.
 */
export async function measure(
  item: Case,
  context: CaseContext,
  wanted: number,
): Promise<CaseResult> {
  const runners = await item.runners(context);
  const missing = context.peers ? missingPeers.splice(0) : [];
  let endBusy: (() => Promise<void>) | undefined;
  try {
    const differences = await compare(runners);
    if (item.busy === true) endBusy = await busyMachine();
    const plans: Plan[] = [];
    for (const runner of runners) plans.push(await plan(runner, item));

    const names = new Set(runners.filter(({ side }) => side === 'peer').map(({ name }) => name));
    const preliminary: Plan[] = [];
    for (const name of names) {
      const variants = plans.filter(({ runner }) => runner.name === name);
      if (variants.length <= 2) continue;
      await alternate(variants, Math.min(preliminaryRounds, wanted), item.idle);
      variants.sort((a, b) => median(a.samples) - median(b.samples));
      preliminary.push(...variants.slice(2));
      for (const variant of variants.slice(0, 2)) variant.samples = [];
    }
    const rounds = Math.min(item.rounds ?? wanted, wanted);
    const finalists = plans.filter((entry) => !preliminary.includes(entry));
    await alternate(finalists, rounds, item.idle);

    const rows = [
      ...finalists.map((entry) => ({ ...row(entry), difference: differences.get(entry.runner) })),
      ...preliminary.map((entry) => ({
        ...row(entry),
        difference: differences.get(entry.runner),
        preliminary: true,
      })),
    ].filter(({ median: figure }) => figure >= 0); // −1 marks a limit that this machine lacks
    const { id, title, group, unit, note } = item;
    return { id, title, group, unit, threads: context.threads, rounds, note, rows, missing };
  } finally {
    await endBusy?.();
    for (const runner of runners) await runner.close?.();
  }
}

/** The peers that turned out not to be installed. */
export const missingPeers: string[] = [];
