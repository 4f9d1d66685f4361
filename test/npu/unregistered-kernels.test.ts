import { describe, expect, it } from 'vitest';
import { deviceDiagnostics } from '../../lib/index.js';
import { onTwin } from '../support/twin.js';
import { children } from '../support/child.js';

// A plugin whose kernels CANN has not registered, because the chip is none of those that they were
// compiled for: its launch functions report success all the same.

const { run } = children();

describe.skipIf(!onTwin || !deviceDiagnostics().npu.kernelsPlugin)(
  'a plugin that launches nothing',
  () => {
    it('is put aside with the reason, and its operations are composed of others', async () => {
      const ended = await run('test/npu/fixtures/unregistered-kernels', {
        env: { LATTE_TWIN_UNREGISTERED: '1' },
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
  },
);
