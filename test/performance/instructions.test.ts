import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

// The counts of AArch64 are checked where there is such a build: scripts/check-aarch64.sh.
it('the CPU kernels take no more instructions than committed (AVX2, one thread)', async () => {
  const script = join(__dirname, '..', '..', 'scripts', 'count-instructions.sh');
  const { stderr } = await promisify(execFile)(script, ['--check']);
  expect(stderr).toBe('');
});
