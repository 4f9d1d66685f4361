import { describe, expect, it } from 'vitest';
import { children } from '../support/child.js';

const { run } = children();

interface Report {
  /** The longest time between two turns of the loop in each of the interleaved rounds, in milliseconds. */
  idle: number[];
  busy: number[];
  /** The duration of one forwardSync, for comparison. */
  blocking: number[];
}

describe('the event loop', () => {
  it('turns during a large forward about as it does when nothing is computed', async () => {
    const ended = await run('test/lifecycle/fixtures/event-loop');
    expect(ended).toMatchObject({ status: 0, stderr: '' });
    const { idle, busy, blocking } = JSON.parse(ended.stdout) as Report;
    const median = (list: number[]): number => list.sort((a, b) => a - b)[list.length >> 1]!;
    // A blocked loop stands still for about as long as a forwardSync takes. The medians of interleaved
    // rounds exclude single disturbances by the machine.
    const excess = median(busy) - median(idle);
    expect(excess, JSON.stringify({ idle, busy, blocking })).toBeLessThan(median(blocking) / 4);
  });
});
