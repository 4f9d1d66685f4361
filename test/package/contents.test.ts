import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
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
  gypfile: boolean;
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
  const needed = ['CMakeLists.txt', 'LICENSE', 'README.md', 'package.json'];
  expect(tarball.files).toEqual(expect.arrayContaining(needed));
  const sources = readdirSync(join(projectRoot, 'native'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(projectRoot, join(entry.parentPath, entry.name)));
  expect(tarball.files.filter((file) => file.startsWith('native/'))).toEqual(sources.sort());
});

/** What the doctor tells people with NPUs to run, and what builds the kernels on hosts with CANN. */
const forNpus = [
  'docs/ascend.md',
  'docs/ascend-operations.md',
  'native/backend/ascend/kernels/CMakeLists.txt',
  'scripts/build-ascend-kernels.sh',
  'scripts/check-toolkit.sh',
  'scripts/lib/setup.sh',
  'scripts/verify-on-npu.sh',
  'scripts/verify/not-finite.mjs',
  'scripts/verify/verify.mjs',
  'test/twin/abi_check.cc',
];

test('holds what people with an NPU need', () => {
  expect(tarball.files).toEqual(expect.arrayContaining(forNpus));
});

/** The guides to which the README links. */
const guides = ['checkpoints', 'install', 'layers', 'memory', 'threads', 'troubleshooting'].map(
  (name) => `docs/${name}.md`,
);

test('holds the guides', () => {
  expect(tarball.files).toEqual(expect.arrayContaining(guides));
});

/** What users run without a compiler. The addons for musl are built only for a release. */
const addons = readdirSync(join(projectRoot, 'prebuilds'))
  .map((platform) => `prebuilds/${platform}/latte.node`)
  .sort();

test('holds an addon for each platform, and the notices that go with them', () => {
  expect(tarball.files).toEqual(expect.arrayContaining([...addons, 'THIRD_PARTY_NOTICES.md']));
});

test('holds nothing else: no tests, no tools, no other build, no debug symbols', () => {
  const allowed =
    /^(dist|native|lib)\/|^(CMakeLists\.txt|LICENSE|README\.md|THIRD_PARTY_NOTICES\.md|package\.json)$/;
  const known = [...forNpus, ...addons, ...guides, 'scripts/prepare.mjs'];
  expect(tarball.files.filter((file) => !allowed.test(file) && !known.includes(file))).toEqual([]);
  const strange = tarball.files.filter((file) => /\.test\.|\.node$|\.o$|\.debug$/.test(file));
  expect(strange).toEqual(addons);
});

test('has compiled files for the present sources, and no others', () => {
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

// npm runs node-gyp for a package with a binding.gyp, even without an install script. pnpm checks only
// whether the file exists.
test('runs nothing when it is installed', () => {
  for (const name of ['preinstall', 'install', 'postinstall']) {
    expect(manifest.scripts, name).not.toHaveProperty(name);
  }
  expect(manifest.gypfile).toBe(false);
  expect(tarball.files).not.toContain('binding.gyp');
});

// In a tree of pnpm, `npm rebuild` runs `prepare`.
test('has every file that its lifecycle scripts name, and preparing an installed package does nothing', async () => {
  const lifecycle = /^(pre|post)?(install|prepare|publish|prepublishOnly|pack|uninstall|rebuild)$/;
  const scripts = Object.entries(manifest.scripts).filter(([name]) => lifecycle.test(name));
  expect(scripts).toEqual([['prepare', 'node scripts/prepare.mjs']]);
  await runOk('tar', ['xzf', tarball.path], folder.path);
  const installed = join(folder.path, 'package');
  expect(await runOk(process.execPath, ['scripts/prepare.mjs'], installed)).toBe('');
  expect(readdirSync(installed)).not.toContain('node_modules');
});

test('is the same, byte for byte, when it is packed again', async () => {
  const digest = (path: string) => createHash('sha256').update(readFileSync(path)).digest('hex');
  const first = digest(tarball.path);
  expect(digest((await pack(folder.path)).path)).toBe(first);
});

test('has a tarball that tar can read', async () => {
  const listed = await runOk('tar', ['tzf', tarball.path], folder.path);
  expect(listed.trim().split('\n').sort()).toEqual(tarball.files.map((file) => `package/${file}`));
});
