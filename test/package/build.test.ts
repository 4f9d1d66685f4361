import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { pack, plainEnvironment, projectRoot, run, runOk, temporaryFolder } from './project.js';

// A host for which the package has no addon: the installed package without its prebuilds. The tests follow
// the advice of the load error, and the package then loads.
const folder = temporaryFolder('build');
const installed = join(folder.path, 'node_modules', 'latte-embeddings');
const home = join(folder.path, 'home');
const main = join(installed, 'dist', 'cli', 'main.js');
const environment: NodeJS.ProcessEnv = {
  ...plainEnvironment(),
  ...{ HOME: home, XDG_DATA_HOME: '', LATTE_ADDON: '' },
  // A compiler cache would call the stand-in for the compiler in ways of its own.
  CMAKE_CXX_COMPILER_LAUNCHER: '',
};
// Compiling all kernels takes minutes, and this checkout has compiled the same sources. So a stand-in for
// the compiler copies the checkout's objects. It really compiles one file that includes Node-API's headers
// and one that includes Highway's, and links. With LATTE_INSTALL_TESTS=all it compiles everything.
const standIn = join(folder.path, 'c++');
const compiled = ['binding/addon.cc', 'backend/cpu/simd/targets.cc'];
const objects = join(projectRoot, 'build', 'CMakeFiles', 'latte_embeddings.dir', 'native');
const compilerStandIn = `#!/bin/sh
set -e
sources=${installed}/native
for argument; do
  case $previous in -o) object=$argument ;; -c) source=$argument ;; esac
  previous=$argument
done
case $source in
  ${compiled.map((file) => `"$sources/${file}"`).join(' | ')}) ;;
  "$sources"/*)
    file=\${source#"$sources"/}
    cmp "$source" "${projectRoot}/native/$file"
    exec cp "${objects}/$file.o" "$object" ;;
esac
exec ${process.env.CXX ?? 'c++'} "$@"
`;
const load = `const { Tensor } = require('latte-embeddings'); console.log(Tensor.zeros([2, 3]).size);`;

beforeAll(async () => {
  const tarball = await pack(folder.path);
  await runOk('tar', ['xzf', tarball.path], folder.path);
  mkdirSync(dirname(installed));
  mkdirSync(home);
  cpSync(join(folder.path, 'package'), installed, { recursive: true });
  rmSync(join(installed, 'prebuilds'), { recursive: true });
  if (process.env.LATTE_INSTALL_TESTS !== 'all') {
    writeFileSync(standIn, compilerStandIn);
    chmodSync(standIn, 0o755);
    environment.CXX = standIn;
  }
  for (const name of ['commander', 'cli-progress', 'd3-interpolate']) {
    symlinkSync(join(projectRoot, 'node_modules', name), join(dirname(installed), name));
  }
});
afterAll(folder.remove);

const build = (...args: string[]) =>
  run(process.execPath, [main, 'build', ...args], folder.path, environment);

test('what the load error advises makes the package load, and leaves its folder as it was', async () => {
  const before = await run(process.execPath, ['-e', load], folder.path, environment);
  expect(before.status).toBe(1);
  expect(before.stderr).toMatch(/code: 'ERR_STATE'/);
  expect(before.stderr).toContain(join(installed, 'prebuilds'));
  expect(before.stderr).toContain('Linux with glibc 2.28 or newer, or with musl, on x64 and arm64');
  const [, command] = /^ {2}npx latte-embeddings (.*)$/m.exec(before.stderr) ?? [];
  expect(command).toBe('build');

  const files = readdirSync(installed, { recursive: true }).sort();
  const built = await build('--headers', projectRoot);
  expect(built.stderr).toContain('cmake --build');
  expect(built.status, built.stderr).toBe(0);
  expect(readdirSync(installed, { recursive: true }).sort()).toEqual(files);
  expect(readdirSync(home)).toEqual(['.local']);

  expect(await runOk(process.execPath, ['-e', load], folder.path, environment)).toBe('6\n');
  const doctor = await run(process.execPath, [main, 'doctor'], folder.path, environment);
  expect(doctor.stdout.replace(/\s+/g, '')).toContain(
    join(home, '.local', 'share', 'latte-embeddings'),
  );
  expect(doctor.stdout.replace(/\s+/g, ' ')).toMatch(/build id [0-9a-f]{40}/);
});

test('prints what it would download and run', async () => {
  const { status, stderr, stdout } = await build('--dry-run', '-o', 'here.node');
  expect(status).toBe(0);
  const [npm, ...cmake] = stderr.trim().split('\n');
  expect(npm).toMatch(
    /^\$ npm install .* node-addon-api@8\S+ node-api-headers@1\S+ @img\/sharp-libvips-dev@1\S+$/,
  );
  expect(cmake).toEqual([
    expect.stringMatching(/^\$ cmake -S /),
    expect.stringMatching(/^\$ cmake --build /),
  ]);
  expect(stdout).toBe(`Would build ${join(folder.path, 'here.node')}\n`);
  expect(existsSync(join(folder.path, 'here.node'))).toBe(false);
});

test('downloads the versions of package-lock.json', async () => {
  const lock = JSON.parse(await runOk('cat', ['package-lock.json'], projectRoot)) as {
    packages: Record<string, { version: string }>;
  };
  const { stderr } = await build('--dry-run');
  for (const name of ['node-addon-api', 'node-api-headers', '@img/sharp-libvips-dev']) {
    expect(stderr).toContain(` ${name}@${lock.packages[`node_modules/${name}`]!.version}`);
  }
});

test('refuses a folder without headers, and names the command that fills it', async () => {
  const { status, stderr } = await build('--headers', home);
  expect(status).toBe(1);
  expect(stderr).toContain('lacks node-addon-api, node-api-headers, @img/sharp-libvips-dev');
  expect(stderr).toContain(`npm install --prefix ${home}`);
});

test('names what is missing on a host without CMake', async () => {
  const bin = join(folder.path, 'bin');
  mkdirSync(bin);
  const args = [main, 'build', '--headers', projectRoot];
  const { status, stderr } = await run(process.execPath, args, folder.path, {
    ...environment,
    PATH: bin,
  });
  expect(status).toBe(1);
  expect(stderr).toMatch(/cmake failed: .*ENOENT.* This needs CMake 3\.22 or newer/);
});

// binding.gyp calls cmake-js to build a checkout; a stand-in records how.
test("a checkout's binding.gyp builds by cmake-js", async () => {
  const checkout = join(folder.path, 'checkout');
  const standIn = join(checkout, 'node_modules', 'cmake-js');
  mkdirSync(join(standIn, 'bin'), { recursive: true });
  for (const name of ['binding.gyp', 'CMakeLists.txt', 'package.json']) {
    cpSync(join(projectRoot, name), join(checkout, name));
  }
  writeFileSync(join(standIn, 'package.json'), '{ "name": "cmake-js" }');
  writeFileSync(
    join(standIn, 'bin', 'cmake-js'),
    `const { mkdirSync, writeFileSync } = require('node:fs');
     mkdirSync('build/Release', { recursive: true });
     writeFileSync('build/Release/latte_embeddings.node', JSON.stringify(process.argv.slice(2)));`,
  );
  // node-gyp reads a few lines of Node.js' headers.
  const headers = join(folder.path, 'headers');
  mkdirSync(join(headers, 'include', 'node'), { recursive: true });
  writeFileSync(join(headers, 'include', 'node', 'common.gypi'), '{}');
  const command = `node-gyp rebuild --nodedir=${headers}`;
  // npm adds its own node-gyp to the PATH.
  await runOk('npm', ['exec', '--offline', '-c', command], checkout);
  const text = await runOk('cat', ['build/Release/latte_embeddings.node'], checkout);
  const args = JSON.parse(text) as string[];
  expect(args).toEqual([
    'build',
    '--out=build/cmake',
    '--parallel=4',
    `--CDCMAKE_LIBRARY_OUTPUT_DIRECTORY=${join(checkout, 'build', 'Release')}`,
  ]);
});
