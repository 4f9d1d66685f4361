import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';
import { difference, median } from '../measure.js';
import { onnxName } from '../peers/onnxruntime.js';
import { productName } from '../product.js';
import type { ConditioningWork } from '../work.js';
import type { Engine, Place, Round, Setting } from './types.js';

/** Milliseconds between contestants: the threads of the last one may still spin. */
const settle = 50;

const script = fileURLToPath(new URL('process.ts', import.meta.url));

/** A process with one engine, which runs a round on request. */
class Contestant {
  readonly name: string;
  readonly rounds: Round[] = [];
  sample: Float32Array = new Float32Array();
  readonly #child: ChildProcess;

  constructor(readonly setting: Setting) {
    const { engine } = setting;
    this.name =
      engine.name === 'product'
        ? productName
        : `${onnxName}, ${engine.threads} thread${engine.threads === 1 ? '' : 's'} a session`;
    this.#child = fork(script);
    this.#child.send(setting);
  }

  async #answer<T>(): Promise<T> {
    // A process that has ended sends no answer.
    const ended = once(this.#child, 'close').then(([status]) => {
      throw new Error(`${this.name}: the process ended with ${status}`);
    });
    const [answer] = (await Promise.race([once(this.#child, 'message'), ended])) as [T];
    return answer;
  }

  async ready(): Promise<void> {
    const { sample } = await this.#answer<{ sample: number[] }>();
    this.sample = Float32Array.from(sample);
  }

  async round(steps: number): Promise<Round> {
    this.#child.send(steps);
    return (await this.#answer<{ round: Round }>()).round;
  }

  async end(): Promise<void> {
    if (this.#child.exitCode !== null) return;
    const closed = once(this.#child, 'close');
    this.#child.send(0);
    await closed;
  }
}

export interface RunRow {
  name: string;
  /** Prompts of a round per second of that round. */
  promptsPerSecond: number;
  /** Nanoseconds of `prepare`. */
  prepare: number;
  step: number;
  step99: number;
  /** The throughput of each round. */
  figures: number[];
}

export interface RunResult {
  place: Place;
  prompts: number;
  rounds: number;
  /** The rows, the product's first. */
  rows: RunRow[];
}

function percentile(values: number[], part: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.ceil(part * sorted.length) - 1]!;
}

function rowOf({ name, rounds, setting }: Contestant): RunRow {
  const prompts = rounds.flatMap((round) => round.prompts);
  const steps = prompts.flatMap((prompt) => prompt.steps);
  const figures = rounds.map(({ nanoseconds }) => (setting.prompts / nanoseconds) * 1e9);
  return {
    name,
    promptsPerSecond: median(figures),
    prepare: median(prompts.map(({ prepare }) => prepare)),
    step: median(steps),
    step99: percentile(steps, 0.99),
    figures,
  };
}

/** Compares the product with onnxruntime-node, in alternation and each in a process of its own. */
export async function compareRuns(
  work: ConditioningWork,
  place: Place,
  prompts: number,
  rounds: number,
): Promise<RunResult> {
  const onnx = [...new Set([1, availableParallelism()])].map((threads): Engine => ({
    name: 'onnx',
    threads,
  }));
  const contestants = [{ name: 'product' } as Engine, ...onnx].map(
    (engine) => new Contestant({ engine, place, prompts, work }),
  );
  try {
    for (const contestant of contestants) await contestant.ready();
    const [product, ...peers] = contestants as [Contestant, ...Contestant[]];
    for (const peer of peers) {
      const apart = difference(peer.sample, product.sample);
      if (!(apart < 1e-3)) throw new Error(`${peer.name} computes something else: ${apart}`);
    }
    // The peer's faster number of threads takes part.
    const tries = await inTurn(peers, (peer) => peer.round(Math.ceil(work.steps / 10)));
    const best = tries.sort(([, a], [, b]) => a.nanoseconds - b.nanoseconds)[0]![0];
    for (let i = 0; i < rounds; i++) {
      for (const [contestant, round] of await inTurn([product, best], (one) =>
        one.round(work.steps),
      )) {
        contestant.rounds.push(round);
      }
    }
    return { place, prompts, rounds, rows: [product, best].map(rowOf) };
  } finally {
    for (const contestant of contestants) await contestant.end();
  }
}

async function inTurn<T, R>(items: T[], work: (item: T) => Promise<R>): Promise<[T, R][]> {
  const results: [T, R][] = [];
  for (const item of items) {
    await sleep(settle);
    results.push([item, await work(item)]);
  }
  return results;
}
