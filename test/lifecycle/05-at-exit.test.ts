import { describe, expect, it } from 'vitest';
import { children, type Ended } from '../support/child.js';

const { run } = children();

/**
 * Node.js 24 waits for V8's threads in process.exit. One of them may wait for a garbage collection that the
 * main thread no longer does (nodejs/node issue 54918). So 4 of 350 exits hung, none because of the addon's
 * threads. On Node.js 24 these tests therefore run V8 without threads of its own; docs/threads.md describes
 * it.
 */
const node = process.versions.node.startsWith('24.') ? ['--single-threaded'] : [];

function end(how: string, delay = 0): Promise<Ended> {
  return run('test/lifecycle/fixtures/exit', { args: [how, String(delay)], node });
}

describe('the end of the process', () => {
  it.each([0, 1, 3, 10, 30])(
    'process.exit %i ms into a forward: its code, no crash, no hang',
    async (delay) => {
      const ended = await end('exit', delay);
      expect(ended).toMatchObject({ status: 7, signal: null, stderr: '', stdout: '' });
    },
  );

  it('an uncaught exception in the middle of a forward', async () => {
    const ended = await end('throw', 3);
    expect(ended).toMatchObject({ status: 1, signal: null });
    expect(ended.stderr).toContain('on purpose');
  });

  it('a forward that is refused and not awaited: an unhandled rejection like any other', async () => {
    const ended = await end('reject');
    expect(ended).toMatchObject({ status: 1, signal: null });
    expect(ended.stderr).toContain('ERR_SHAPE');
  });

  it('process.exit from the continuation of a forward while others run', async () => {
    const ended = await end('continue');
    expect(ended).toMatchObject({ status: 9, signal: null, stderr: '' });
  });

  it('a forward alone keeps the process alive until it is done', async () => {
    const ended = await end('wait');
    expect(ended).toMatchObject({ status: 0, signal: null, stderr: '', stdout: 'done' });
  });

  it('forwards started before the exit and in its handlers', async () => {
    const ended = await end('handlers');
    expect(ended).toMatchObject({ status: 0, signal: null, stderr: '', stdout: 'beforeExit exit' });
  });

  it('a signal in the middle of a forward', async () => {
    const ended = await end('signal', 2);
    expect(ended).toMatchObject({ status: null, signal: 'SIGTERM', stderr: '' });
  });

  it('tensors and layers that nobody disposed', async () => {
    const ended = await end('leave');
    expect(ended).toMatchObject({ status: 0, signal: null, stderr: '' });
  });
});
