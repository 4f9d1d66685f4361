import { describe, expect, it } from 'vitest';
import { children } from '../support/child.js';
import type { Report } from './table-in-child.js';

const { run } = children();

async function digests(threads: number): Promise<Report> {
  const ended = await run('test/parity/table-in-child', {
    args: ['digest'],
    env: { LATTE_NUM_THREADS: String(threads) },
  });
  expect(ended.stderr).toBe('');
  const report = JSON.parse(ended.stdout) as Report;
  expect(report.threads).toBe(threads);
  return report;
}

describe('the bits of a result', () => {
  it('do not depend on the number of threads, nor on forward or forwardSync', async () => {
    const one = await digests(1);
    for (const [name, [forward, forwardSync]] of Object.entries(one.digests)) {
      expect(forwardSync, name).toBe(forward);
    }
    for (const threads of [2, 3]) expect((await digests(threads)).digests).toEqual(one.digests);
  });
});
