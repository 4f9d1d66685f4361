import { execFile, execFileSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { addon } from '../support/build.js';

// The programs that CMake builds beside the addon from test/native and native/.

/** The names of a program's tests. */
export function testsOf(program: string): string[] {
  return execFileSync(join(dirname(addon), program), ['--list'], { encoding: 'utf8' })
    .trim()
    .split('\n');
}

/** Runs one test of a program. Resolves to its output; rejects with the failed expectations. */
export async function runTest(program: string, name: string, environment = {}): Promise<string> {
  const { stdout } = await promisify(execFile)(join(dirname(addon), program), [name], {
    timeout: 120_000,
    env: { ...process.env, ...environment },
  });
  return stdout;
}
