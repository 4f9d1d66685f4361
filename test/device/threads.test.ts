import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { describe, expect, it } from 'vitest';
import type { DeviceInfo } from '../../lib/index.js';
import { children } from '../support/child.js';

const { run } = children();

/** Whether a control group of this process limits its processor time. */
function limited(): boolean {
  const groups = readFileSync('/proc/self/cgroup', 'utf8')
    .trim()
    .split('\n')
    .map((line) => line.split(':').slice(2).join(':'));
  const folders = groups.flatMap((group) => {
    const parts = group.split('/').filter(Boolean);
    return parts.map((_, i) => parts.slice(0, i + 1).join('/')).concat('');
  });
  const text = (file: string): string => {
    try {
      return readFileSync(file, 'utf8').trim();
    } catch {
      return '';
    }
  };
  return folders.some(
    (folder) =>
      /^\d/.test(text(`/sys/fs/cgroup/${folder}/cpu.max`)) ||
      Number(text(`/sys/fs/cgroup/cpu/${folder}/cpu.cfs_quota_us`)) > 0,
  );
}

describe('the number of threads', () => {
  it.skipIf(process.platform !== 'linux' || limited())(
    'is that of the cores, up to 32, if nothing limits the process',
    async () => {
      const ended = await run('test/lifecycle/fixtures/print-devices', {
        env: { LATTE_NUM_THREADS: '' },
      });
      const [cpu] = JSON.parse(ended.stdout) as DeviceInfo[];
      expect(cpu!.threads).toBe(Math.min(availableParallelism(), 32));
    },
  );
});
