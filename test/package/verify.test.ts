import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { pack, plainEnvironment, projectRoot, run, runOk, temporaryFolder } from './project.js';

// scripts/verify-on-npu.sh of an installed package, on a host with neither compiler nor CMake.
const folder = temporaryFolder('verify');
const bin = join(folder.path, 'bin');
const script = join(folder.path, 'package', 'scripts', 'verify-on-npu.sh');

beforeAll(async () => {
  const tarball = await pack(folder.path);
  await runOk('tar', ['xzf', tarball.path], folder.path);
  const modules = join(folder.path, 'node_modules');
  mkdirSync(modules);
  for (const name of ['commander', 'cli-progress', 'd3-interpolate', 'string-width']) {
    const from = join(projectRoot, 'node_modules', name);
    if (existsSync(from)) symlinkSync(from, join(modules, name));
  }
  mkdirSync(bin);
  const programs = 'bash cat date dirname basename env grep head mktemp nproc rm tail uname'.split(
    ' ',
  );
  for (const program of programs) {
    const path = (await runOk('sh', ['-c', `command -v ${program}`], folder.path)).trim();
    symlinkSync(path, join(bin, program));
  }
  symlinkSync(process.execPath, join(bin, 'node'));
});
afterAll(folder.remove);

test('lists what is missing, runs the rest, and writes the file where it was called', async () => {
  const work = join(folder.path, 'work');
  mkdirSync(work);
  const environment = {
    ...plainEnvironment(),
    ...{ PATH: bin, LATTE_ADDON: '', ASCEND_HOME_PATH: '', HOME: work },
  };
  const { status, stdout } = await run('bash', [script, '--quick'], work, environment);
  const file = join(work, 'latte-on-npu.json');
  const {
    allRight,
    gaps,
    ways,
    environment: host,
  } = JSON.parse(readFileSync(file, 'utf8')) as {
    allRight: boolean;
    gaps: string[];
    ways: Record<string, { skipped?: string; doctor: { diagnostics?: unknown } }>;
    environment: { node: string };
  };
  rmSync(file);
  expect([status, allRight, host.node]).toEqual([1, false, process.version]);
  for (const what of ['a checkout of the project', 'ASCEND_HOME_PATH', 'cmake', 'a C++ compiler']) {
    expect(gaps.filter((gap) => gap.startsWith(what))).toHaveLength(1);
    expect(stdout).toContain(what);
  }
  // The package's own addon served: only the NPU is missing.
  expect(gaps.filter((gap) => gap.startsWith('an addon'))).toEqual([]);
  for (const { skipped, doctor } of Object.values(ways)) {
    expect(doctor.diagnostics).toBeDefined();
    expect(skipped).toContain('CANN');
  }
  expect(existsSync(join(folder.path, 'package', 'latte-on-npu.json'))).toBe(false);
});
