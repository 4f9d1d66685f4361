import { describe, expect, it } from 'vitest';
import { children } from '../support/child.js';

// Every process must release what it has of ACL. Otherwise the twin reports what is left, and the process
// fails.

const { run } = children();

describe('a process with work on NPUs', () => {
  it.each([
    ['waits for it', 'wait'],
    ['starts more as it ends', 'handler'],
    ['leaves tensors and layers behind', 'leave'],
  ])('that %s ends ACL', async (_, how) => {
    const env = { LATTE_TWIN_COUNT: 'aclFinalize' };
    const ended = await run('test/npu/fixtures/ending', { args: [how], env });
    expect(ended).toMatchObject({ status: 0, signal: null });
    expect(ended.stderr).toBe('twin: aclFinalize was called 1 time(s)\n');
    expect(ended.stdout).toBe(how === 'wait' ? '12' : '');
  });

  // In these cases Node.js runs no clean-up hooks, so ACL ends with the process.
  it.each(['exit', 'exit later'])('that calls process.exit (%s) has its code', async (how) => {
    const ended = await run('test/npu/fixtures/ending', { args: [how] });
    expect(ended).toMatchObject({ status: 7, signal: null, stderr: '', stdout: '' });
  });

  it('that throws in the middle prints what was thrown', async () => {
    const ended = await run('test/npu/fixtures/ending', { args: ['throw'] });
    expect(ended).toMatchObject({ status: 1, signal: null });
    expect(ended.stderr).toContain('on purpose');
    expect(ended.stderr).not.toContain('twin:');
  });
});

describe('worker threads', () => {
  it.each([
    ['compute the same bits on one NPU at once', 'compute', 4],
    ['terminated in the middle of forwards leave the others at work', 'terminate', 2],
    ['that call process.exit in the middle of forwards do so, too', 'exit', 2],
  ])('%s', async (_, how, results) => {
    for (const seed of ['1', '2', '3']) {
      const ended = await run('test/npu/fixtures/workers', {
        args: [how],
        env: { LATTE_TWIN_SEED: seed },
      });
      expect(ended).toMatchObject({ status: 0, signal: null, stderr: '' });
      const digests = JSON.parse(ended.stdout) as string[];
      expect(digests).toHaveLength(results);
      expect(new Set(digests).size).toBe(1);
    }
  });
});
