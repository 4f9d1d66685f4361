import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { projectRoot, run, temporaryFolder } from './project.js';

// The layering check must find violations: each case adds one to a copy of the sources.
const folder = temporaryFolder('layers');

const script = join(projectRoot, 'scripts', 'check-layers.mjs');
let check: (root: string) => string[];

beforeAll(async () => {
  ({ check } = (await import(script)) as { check: typeof check });
  for (const part of ['lib', 'native']) {
    cpSync(join(projectRoot, part), join(folder.path, part), { recursive: true });
  }
});
afterAll(folder.remove);

/** The violations with `line` added before the text of `file`, which may be a new one. */
function checkWith(file: string, line: string): string {
  const path = join(folder.path, file);
  const before = existsSync(path) ? readFileSync(path, 'utf8') : undefined;
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, `${line}\n${before ?? ''}`);
  const violations = check(folder.path);
  if (before === undefined) rmSync(path);
  else writeFileSync(path, before);
  return violations.join('\n');
}

test('the sources as they are pass', () => {
  expect(check(folder.path)).toEqual([]);
});

test('the program prints the violations, and its exit status is 1', async () => {
  const good = await run(process.execPath, [script, folder.path], folder.path);
  expect([good.status, good.stderr]).toEqual([0, '']);
  const empty = temporaryFolder('layers-empty');
  const bad = await run(process.execPath, [script, empty.path], empty.path);
  empty.remove();
  expect(bad.status).toBe(1);
  expect(bad.stderr).toContain('native');
});

describe('C++', () => {
  test.each([
    ['native/core/seed.cc', '#include "backend/backend.h"', /core stands below backend/],
    ['native/core/seed.cc', '#include "../backend/backend.h"', /core stands below backend/],
    ['native/core/seed.cc', '  #  include <backend/backend.h>', /core stands below backend/],
    ['native/core/seed.cc', '#include "system/memory_pool.h"', /core stands below system/],
    ['native/system/seed.cc', '#include "backend/backend.h"', /system stands below backend/],
    ['native/layers/seed.cc', '#include "backend/cpu/seed.h"', /only native\/backend\/registry/],
    ['native/binding/seed.cc', '#include "backend/cpu/seed.h"', /only native\/backend\/registry/],
    ['native/backend/seed.cc', '#include "cpu/seed.h"', /only native\/backend\/registry/],
    ['native/backend/cpu/seed.h', '#include <napi.h>', /mentions Node-API/],
    ['native/layers/seed.cc', 'Napi::Value value;', /mentions Node-API/],
    ['native/layers/seed.cc', '#include <node_api.h>', /mentions Node-API/],
    ['native/layers/seed.cc', '#include <acl/acl.h>', /ACL outside/],
    ['native/other/seed.cc', '', /is in none of/],
  ])('%s: %s', (file, line, message) => {
    mkdirSync(join(folder.path, 'native/backend/cpu'), { recursive: true });
    writeFileSync(join(folder.path, 'native/backend/cpu/seed.h'), '');
    const result = checkWith(file, line);
    expect(result).toMatch(message);
  });

  test('an include cycle', () => {
    writeFileSync(join(folder.path, 'native/core/one.h'), '#include "two.h"\n');
    const result = checkWith('native/core/two.h', '#include "core/one.h"');
    expect(result).toMatch(
      /cycle: native\/core\/one\.h → native\/core\/two\.h → native\/core\/one\.h/,
    );
  });
});

test('a device that reaches for the registry makes a cycle of folders', () => {
  const result = checkWith('native/backend/ascend/seed.cc', '#include "backend/registry.h"');
  expect(result).toMatch(/folders: cycle: .*native\/backend\/(ascend|registry) → native\/backend/);
});

test('graphs that are behind the sources', () => {
  const page = join(folder.path, 'docs', 'architecture.md');
  mkdirSync(dirname(page));
  cpSync(join(projectRoot, 'docs', 'architecture.md'), page);
  const result = checkWith('native/core/seed.h', '#include "core/error.h"');
  expect(result).toBe('');
  const behind = checkWith('lib/sincos.ts', "import './memory.js';");
  expect(behind).toMatch(/architecture\.md is behind/);
  rmSync(dirname(page), { recursive: true });
});

describe('TypeScript', () => {
  test.each([
    ['lib/errors.ts', "import { run } from './cli/main.js';", /only the command line/],
    ['lib/layers/seed.ts', "import '../checkpoint/seed.js';", /know nothing of checkpoints/],
    ['lib/layers/seed.ts', "void import('../checkpoint/seed.js');", /know nothing of checkpoints/],
    ['lib/layers/seed.ts', "export * from '../checkpoint/seed.js';", /know nothing of checkpoints/],
    ['lib/latte-seed.ts', "import { Tensor } from './index.js';", /public interface/],
    ['lib/seed.ts', "import '../test/package/project.js';", /not in lib/],
    ['lib/seed.ts', "process.dlopen(holder, 'other');", /loads an addon/],
    ['lib/errors.ts', "import { checkDType } from './tensor/dtype.js';", /cycle: /],
  ])('%s: %s', (file, line, message) => {
    const result = checkWith(file, line);
    expect(result).toMatch(message);
  });
});
