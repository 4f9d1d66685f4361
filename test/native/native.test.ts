import { execFile, execFileSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { testedDevices } from '../support/devices.js';

// The programs that CMake builds beside the addon from test/native and native/.
const addon =
  process.env.LATTE_ADDON ?? join(__dirname, '..', '..', 'build', 'Release', 'addon.node');

function namesOf(program: string): string[] {
  return execFileSync(join(dirname(addon), program), ['--list'], { encoding: 'utf8' })
    .trim()
    .split('\n');
}

async function run(program: string, name: string, environment = {}): Promise<string> {
  const { stdout } = await promisify(execFile)(join(dirname(addon), program), [name], {
    timeout: 120_000,
    env: { ...process.env, ...environment },
  });
  return stdout;
}

it.each(namesOf('latte_system_test'))('%s', async (name) => {
  expect(await run('latte_system_test', name)).toBe('1 passed\n');
});

describe.each(testedDevices)('on %s', (device) => {
  it.each(namesOf('latte_backend_test'))('%s', async (name) => {
    expect(await run('latte_backend_test', name, { LATTE_TEST_DEVICE: device })).toBe('1 passed\n');
  });
});
