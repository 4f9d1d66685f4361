import { execFile, execFileSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

// The program that CMake builds beside the addon from test/native, native/core and native/system.
const addon =
  process.env.LATTE_ADDON ?? join(__dirname, '..', '..', 'build', 'Release', 'addon.node');
const program = join(dirname(addon), 'latte_system_test');
const names = execFileSync(program, ['--list'], { encoding: 'utf8' }).trim().split('\n');

it.each(names)('%s', async (name) => {
  const { stdout } = await promisify(execFile)(program, [name], { timeout: 120_000 });
  expect(stdout).toBe('1 passed\n');
});
