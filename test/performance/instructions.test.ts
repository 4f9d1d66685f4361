import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

// scripts/check-aarch64.sh checks AArch64's counts, because it has such a build.
it('the CPU kernels take no more instructions than committed (AVX2, one thread)', async () => {
  const script = join(__dirname, 'count-instructions.sh');
  const { stderr } = await promisify(execFile)(script, ['--check']);
  expect(stderr).toBe('');
});
