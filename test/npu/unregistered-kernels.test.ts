import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { children } from '../support/child.js';

// A plugin whose kernels CANN has not registered, because the chip is none of those that they were
// compiled for: its launch functions report success all the same.

const { run } = children();

// Whatever chip and plugin this run is about.
const env = {
  LATTE_TWIN_UNREGISTERED: '1',
  LATTE_TWIN_SOC: 'Ascend910B3',
  LATTE_ASCEND_KERNELS: join(process.env.ASCEND_HOME_PATH!, 'lib64', 'liblatte_ascend_kernels.so'),
};

describe('a plugin that launches nothing', () => {
  it('is put aside with the reason, and its operations are composed of others', async () => {
    const ended = await run('test/npu/fixtures/unregistered-kernels', {
      env,
    });
    expect(ended.stderr).toBe('');
    const report = JSON.parse(ended.stdout) as Record<string, unknown>;
    expect(report).toEqual({
      error: expect.closeTo(0, 4),
      kernelsPlugin: false,
      kernelsReason: expect.stringMatching(
        /^its kernels do not run on npu:0 \(Ascend910B3\): they wrote nothing/,
      ),
    });
  });
});
