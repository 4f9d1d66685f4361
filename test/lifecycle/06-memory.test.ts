import { describe, expect, it } from 'vitest';
import { children } from '../support/child.js';

const { run } = children();

interface Report {
  /** Bytes in use before and after the operations, and the bytes that they allocated. */
  live: [number, number];
  pooled: number;
  limit: number;
  residentGrowth: number;
  turnover: number;
  peak: number;
}

/** The pool's free bytes and the process's resident bytes, before and after idling. */
interface Idle {
  byteLength: number;
  before: [number, number];
  after: [number, number];
  same: boolean;
}

async function measure(what: string): Promise<Report> {
  const ended = await run('test/lifecycle/fixtures/memory', {
    args: [what],
    node: ['--expose-gc'],
  });
  expect(ended.stderr).toBe('');
  expect(ended.status).toBe(0);
  return JSON.parse(ended.stdout) as Report;
}

describe('memory that is not used', () => {
  it('goes back to the system after a while, and can be had again; the process ends', async () => {
    const ended = await run('test/lifecycle/fixtures/idle');
    expect(ended).toMatchObject({ status: 0, stderr: '' });
    const { byteLength, before, after, same } = JSON.parse(ended.stdout) as Idle;
    expect(before[0]).toBeGreaterThanOrEqual(byteLength);
    expect(after[0]).toBeLessThanOrEqual(before[0] - byteLength);
    expect(after[1]).toBeLessThan(before[1] - byteLength / 2);
    expect(same).toBe(true);
  });
});

describe('memory comes back', () => {
  it.each([
    'layers',
    'disposed outputs',
    'disposed tensors',
    'failed forwards',
    'aborted forwards',
    'conversions',
    'tables',
  ])('from %s, made and dropped many times', async (what) => {
    const { live, pooled, limit, residentGrowth, turnover } = await measure(what);
    expect(live[1]).toBe(live[0]);
    expect(pooled).toBeLessThanOrEqual(limit);
    // Only the pool, the collector's heap and the allocator keep memory: far less than was allocated.
    expect(residentGrowth).toBeLessThan(limit + turnover / 4);
  });

  it.each([
    'outputs that nobody disposes',
    'tensors that nobody disposes',
    'layers that nobody disposes',
  ])('from %s, while they are made', async (what) => {
    const { live, turnover, peak } = await measure(what);
    expect(peak).toBeLessThan(turnover / 3);
    expect(live[1]).toBeLessThanOrEqual(live[0] + turnover / 100);
  });
});
