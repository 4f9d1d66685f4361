import { createHash } from 'node:crypto';
import { devices } from '../../lib/index.js';
import { rawBits } from '../support/tensors.js';
import { cases } from './cases.js';
import { fullSizeCases } from './full-size.js';
import { check, compute, nameOf } from './run.js';

/** What a child process that ran the table prints, as JSON. */
export interface Report {
  instructionSet: string;
  threads: number;
  /** Cases whose results differ from the reference's ('compare'). */
  failures: string[];
  /** Digests of the results' bits, of forward and of forwardSync ('digest'). */
  digests: Record<string, [string, string]>;
}

async function compareAll(): Promise<string[]> {
  const failures: string[] = [];
  for (const c of cases) {
    await check(c, 'cpu', ['forward']).catch((error: Error) => failures.push(error.message));
  }
  return failures;
}

async function digestAll(): Promise<Report['digests']> {
  const digests: Report['digests'] = {};
  for (const c of [...cases, ...fullSizeCases]) {
    const pair: string[] = [];
    for (const results of await compute(c, 'cpu', ['forward', 'forwardSync'])) {
      const sum = createHash('sha1');
      for (const result of results) {
        sum.update(rawBits(result));
        result.dispose();
      }
      pair.push(sum.digest('hex'));
    }
    digests[nameOf(c)] = pair as [string, string];
  }
  return digests;
}

/** For scripts: exits with 1 unless the table holds, with that instruction set if one is given. */
async function checkAll(instructionSet: string, expected = instructionSet): Promise<void> {
  const failures = await compareAll();
  if (instructionSet !== expected) {
    failures.push(`the kernels ran as ${instructionSet}, not ${expected}`);
  }
  for (const failure of failures) process.stderr.write(`${failure}\n`);
  if (failures.length > 0) process.exit(1);
  process.stdout.write(`The parity table holds with ${instructionSet}.\n`);
}

/**
 * `compare` and `digest` print a report as JSON. `check` prints one line, or fails if the table does not hold or
 * if the CPU uses another instruction set than the one that is named.
 */
async function main(): Promise<void> {
  const [, , way, expected] = process.argv;
  const digest = way === 'digest';
  const { instructionSet = '', threads = 0 } = devices()[0]!;
  if (way === 'check') return await checkAll(instructionSet, expected);
  const report: Report = {
    instructionSet,
    threads,
    failures: digest ? [] : await compareAll(),
    digests: digest ? await digestAll() : {},
  };
  process.stdout.write(JSON.stringify(report));
}

void main();
