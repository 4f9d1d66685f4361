import { describe, expect, it } from 'vitest';
import { children } from '../support/child.js';

const { run } = children();

describe('worker threads', () => {
  it('several at once, and the main thread, compute the same bits', async () => {
    const ended = await run('test/lifecycle/fixtures/workers', { args: ['compute'] });
    expect(ended).toMatchObject({ status: 0, signal: null, stderr: '' });
    const digests = JSON.parse(ended.stdout) as string[];
    expect(digests).toHaveLength(5);
    expect(new Set(digests).size).toBe(1);
  });

  it.each([
    ['terminated in the middle of a forward', 'terminate'],
    ['that call process.exit in the middle of a forward', 'exit'],
    ['that throw in the middle of a forward', 'throw'],
    ['that end in the middle of a forwardSync', 'terminate-sync'],
  ])('%s leave the others at work', async (_, how) => {
    const ended = await run('test/lifecycle/fixtures/workers', { args: [how] });
    expect(ended).toMatchObject({ status: 0, signal: null, stderr: '', stdout: 'still right' });
  });

  it('started one after another do not pile up memory', async () => {
    const ended = await run('test/lifecycle/fixtures/workers', {
      args: ['many'],
      node: ['--expose-gc'],
    });
    expect(ended).toMatchObject({ status: 0, signal: null, stderr: '' });
    const { live, before } = JSON.parse(ended.stdout) as { live: number; before: number };
    expect(live).toBe(before);
  });
});
