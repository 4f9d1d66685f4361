import { describe, expect, it } from 'vitest';
import { children } from '../support/child.js';

const { run } = children();

describe('the end of the process', () => {
  it.each([0, 1, 3, 10, 30])(
    'process.exit %i ms into a forward: its code, no crash, no hang',
    async (delay) => {
      const ended = await run('test/lifecycle/fixtures/exit', { args: ['exit', String(delay)] });
      expect(ended).toMatchObject({ status: 7, signal: null, stderr: '', stdout: '' });
    },
  );

  it('an uncaught exception in the middle of a forward', async () => {
    const ended = await run('test/lifecycle/fixtures/exit', { args: ['throw', '3'] });
    expect(ended).toMatchObject({ status: 1, signal: null });
    expect(ended.stderr).toContain('on purpose');
  });

  it('a forward that is refused and not awaited: an unhandled rejection like any other', async () => {
    const ended = await run('test/lifecycle/fixtures/exit', { args: ['reject', '0'] });
    expect(ended).toMatchObject({ status: 1, signal: null });
    expect(ended.stderr).toContain('ERR_SHAPE');
  });

  it('process.exit from the continuation of a forward while others run', async () => {
    const ended = await run('test/lifecycle/fixtures/exit', { args: ['continue', '0'] });
    expect(ended).toMatchObject({ status: 9, signal: null, stderr: '' });
  });

  it('a forward alone keeps the process alive until it is done', async () => {
    const ended = await run('test/lifecycle/fixtures/exit', { args: ['wait', '0'] });
    expect(ended).toMatchObject({ status: 0, signal: null, stderr: '', stdout: 'done' });
  });

  it('forwards started before the exit and in its handlers', async () => {
    const ended = await run('test/lifecycle/fixtures/exit', { args: ['handlers', '0'] });
    expect(ended).toMatchObject({ status: 0, signal: null, stderr: '', stdout: 'beforeExit exit' });
  });

  it('a signal in the middle of a forward', async () => {
    const ended = await run('test/lifecycle/fixtures/exit', { args: ['signal', '2'] });
    expect(ended).toMatchObject({ status: null, signal: 'SIGTERM', stderr: '' });
  });

  it('tensors and layers that nobody disposed', async () => {
    const ended = await run('test/lifecycle/fixtures/exit', { args: ['leave', '0'] });
    expect(ended).toMatchObject({ status: 0, signal: null, stderr: '' });
  });
});
