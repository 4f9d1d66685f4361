import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { pack, projectRoot, runOk, temporaryFolder, type Tarball } from './project.js';

const folder = temporaryFolder('contents');
let tarball: Tarball;

beforeAll(async () => {
  tarball = await pack(folder.path);
});
afterAll(folder.remove);

const manifest = JSON.parse(readFileSync(join(projectRoot, 'package.json'), 'utf8')) as {
  main: string;
  types: string;
  bin: Record<string, string>;
  exports: { '.': Record<string, Record<string, string>> };
  scripts: Record<string, string>;
};

test('holds every file that package.json names', () => {
  const named = [
    manifest.main,
    manifest.types,
    ...Object.values(manifest.bin),
    ...Object.values(manifest.exports['.']).flatMap((conditions) => Object.values(conditions)),
  ].map((path) => path.replace(/^\.\//, ''));
  expect(named.length).toBeGreaterThanOrEqual(7);
  expect(tarball.files).toEqual(expect.arrayContaining(named));
});

test('holds what a build from source needs', () => {
  const needed = ['CMakeLists.txt', 'binding.gyp', 'LICENSE', 'README.md', 'package.json'];
  expect(tarball.files).toEqual(expect.arrayContaining(needed));
  for (const layer of ['core', 'backend', 'layers', 'binding']) {
    const sources = tarball.files.filter((file) => file.startsWith(`native/${layer}/`));
    expect(sources, layer).not.toEqual([]);
  }
});

/** What the doctor points people with NPUs to, and what builds their kernels on hosts with CANN. */
const forNpus = [
  'docs/ascend.md',
  'docs/ascend-operations.md',
  'native/backend/ascend/kernels/CMakeLists.txt',
  'scripts/build-ascend-kernels.sh',
  'scripts/check-acl-abi.sh',
  'test/twin/abi_check.cc',
];

test('holds what people with an NPU need', () => {
  expect(tarball.files).toEqual(expect.arrayContaining(forNpus));
});

test('holds nothing else: no tests, no tools, no build', () => {
  const allowed =
    /^(dist|native|lib)\/|^(CMakeLists\.txt|binding\.gyp|LICENSE|README\.md|package\.json)$/;
  const others = tarball.files.filter((file) => !allowed.test(file) && !forNpus.includes(file));
  expect(others).toEqual([]);
  expect(tarball.files.filter((file) => /\.test\.|\.node$|\.o$/.test(file))).toEqual([]);
});

test('has compiled files for the sources of now, and no others', () => {
  const compiled = tarball.files.filter((file) => /^dist\/.*\.m?js$/.test(file));
  const sources = tarball.files.filter((file) => /^lib\/.*\.m?ts$/.test(file));
  const expected = sources.map((file) => file.replace(/^lib/, 'dist').replace(/ts$/, 'js'));
  expect(compiled).toEqual(expected.sort());
});

test('starts the command line with a shebang', () => {
  for (const path of Object.values(manifest.bin)) {
    expect(readFileSync(join(projectRoot, path), 'utf8')).toMatch(/^#!\/usr\/bin\/env node\n/);
  }
});

test('names an install script, so that npm does not run node-gyp by itself', () => {
  expect(manifest.scripts.install).toMatch(/^cmake-js /);
});

test('has a tarball that tar can read', async () => {
  const listed = await runOk('tar', ['tzf', tarball.path], folder.path);
  expect(listed.trim().split('\n').sort()).toEqual(tarball.files.map((file) => `package/${file}`));
});
