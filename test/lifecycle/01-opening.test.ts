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
      env: { LATTE_ADDON: '' },
    });
    expect(ended.status).toBe(1);
    expect(ended.stderr).toContain('could not load its native addon');
    expect(ended.stderr).toMatch(/build[/\\]Release[/\\]latte_embeddings\.node/);
    expect(ended.stderr).toContain('npx latte-embeddings build');
  });

  it.each(['/nonexistent', __filename])('LATTE_ADDON=%s is refused by name', async (named) => {
    const ended = await run('test/lifecycle/fixtures/print-devices', {
      env: { LATTE_ADDON: named },
    });
    expect([ended.status, ended.stdout]).toEqual([1, '']);
    expect(ended.stderr).toContain("code: 'ERR_VALUE'");
    expect(ended.stderr).toContain('LATTE_ADDON must name a build of the addon');
    expect(ended.stderr).toContain(named);
  });
});
