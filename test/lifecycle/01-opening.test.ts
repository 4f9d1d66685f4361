import { describe, expect, it } from 'vitest';
import { children } from '../support/child.js';

const { run } = children();
const bare = children({ addon: false });

describe('opening the library', () => {
  it('takes no threads and no memory to speak of, and lets the process end by itself', async () => {
    const ended = await run('test/lifecycle/fixtures/open-only');
    expect(ended).toMatchObject({ status: 0, stderr: '' });
    const { live, threadsBefore, threadsAfter } = JSON.parse(ended.stdout) as Record<
      string,
      number
    >;
    expect(live).toBe(0);
    expect(threadsAfter).toBe(threadsBefore);
  });

  it('works from a preloaded module, twice, and under another name', async () => {
    const ended = await run('test/lifecycle/fixtures/open-twice');
    expect(ended).toMatchObject({ status: 0, stderr: '', stdout: 'same bits' });
  });

  it('without its addon explains what was tried and what to do', async () => {
    const ended = await bare.run('test/lifecycle/fixtures/print-devices', {
      env: { LATTE_ADDON: '/nowhere/else.node' },
    });
    expect(ended.status).toBe(1);
    expect(ended.stderr).toContain('could not load its native addon');
    expect(ended.stderr).toContain('/nowhere/else.node: no such file');
    expect(ended.stderr).toMatch(/build[/\\]Release[/\\]latte_embeddings\.node/);
    expect(ended.stderr).toMatch(/npm (rebuild|run build|install)/);
  });

  it('with a file that is no addon says so', async () => {
    const ended = await bare.run('test/lifecycle/fixtures/print-devices', {
      env: { LATTE_ADDON: __filename },
    });
    expect(ended.status).toBe(1);
    expect(ended.stderr).toContain('could not load its native addon');
    expect(ended.stderr).toContain('01-opening');
  });
});
