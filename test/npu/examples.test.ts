import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, it } from 'vitest';

it('examples/device-pointers.mjs shares memory with another addon', () => {
  const root = join(__dirname, '..', '..');
  const args = [join('examples', 'device-pointers.mjs')];
  const printed = execFileSync(process.execPath, args, { cwd: root, encoding: 'utf8' });
  expect(printed).toBe('[ 2, 4 ] [\n  1, 2, 3, 4,\n  1, 2, 3, 4\n]\n');
});
