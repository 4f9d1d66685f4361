import { describe, expect, it } from 'vitest';
import { children } from '../support/child.js';
import type { Report } from './table-in-child.js';

const { run } = children();

/** The instruction sets that kernels are compiled for. */
const targets = process.arch === 'arm64' ? ['NEON'] : ['SSE2', 'AVX2', 'AVX3'];

async function compare(env: NodeJS.ProcessEnv): Promise<Report> {
  const ended = await run('test/parity/table-in-child', { args: ['compare'], env });
  expect(ended.stderr).toBe('');
  return JSON.parse(ended.stdout) as Report;
}

describe('the whole table with each instruction set of this machine', () => {
  const seen = new Set<string>();

  it.each(targets)('%s', async (target) => {
    const report = await compare({ LATTE_CPU_TARGET: target });
    seen.add(report.instructionSet);
    expect(report.failures).toEqual([]);
  });

  it('forcing one takes effect: more than one was seen wherever there is more than one', () => {
    if (process.arch === 'x64') expect(seen.size).toBeGreaterThan(1);
    else expect(seen.size).toBe(1);
  });
});
