import { describe, expect, it } from 'vitest';
import { children } from '../support/child.js';
import type { Report } from './table-in-child.js';

const { run } = children();

/** The instruction sets for which kernels are compiled. */
const targets = process.arch === 'arm64' ? ['NEON', 'NEON_BF16'] : ['SSE2', 'AVX2', 'AVX3'];

async function compare(env: NodeJS.ProcessEnv): Promise<Report | undefined> {
  const ended = await run('test/parity/table-in-child', { args: ['compare'], env });
  // A set that the processor lacks must be refused, and not replaced by another.
  if (ended.stderr.includes('must be an instruction set of this processor')) return undefined;
  expect(ended.stderr).toBe('');
  return JSON.parse(ended.stdout) as Report;
}

describe('the whole table with each instruction set of this machine', () => {
  const seen = new Set<string>();

  it.each(targets)('%s', async (target) => {
    const report = await compare({ LATTE_CPU_TARGET: target });
    if (report === undefined) return;
    expect(report).toMatchObject({ instructionSet: target, failures: [] });
    seen.add(report.instructionSet);
  });

  it('a forced set takes effect: more than one was used if the machine has more than one', () => {
    if (process.arch === 'x64') expect(seen.size).toBeGreaterThan(1);
    else expect(seen.size).toBeGreaterThanOrEqual(1);
  });
});
