import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { pack, plainEnvironment, projectRoot, run, runOk, temporaryFolder } from './project.js';

// Runs scripts/verify-on-npu.sh of an installed package in a root file system of its own. This has the C
// library, Node.js and the programs that the script's comment lists. It has no compiler, no CMake, no
// Python and no /proc.
const folder = temporaryFolder('verify');
const root = join(folder.path, 'root');
const modules = join(root, 'app', 'node_modules');
const work = join(root, 'work');

/** Copies a program and its libraries to the same paths below `root`. */
async function bring(program: string): Promise<void> {
  const path = (await runOk('sh', ['-c', `command -v ${program}`], folder.path)).trim();
  cpSync(path, join(root, 'bin', basename(path)), { dereference: true });
  const { stdout } = await run('ldd', [path], folder.path);
  for (const [library] of stdout.matchAll(/\/\S+/g)) {
    mkdirSync(dirname(join(root, library)), { recursive: true });
    cpSync(library, join(root, library), { dereference: true });
  }
}

/** The packages that an installed latte-embeddings needs, as paths below node_modules. */
function dependencies(): string[] {
  const lock = JSON.parse(readFileSync(join(projectRoot, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { dev?: boolean; optional?: boolean; peer?: boolean }>;
  };
  return Object.entries(lock.packages)
    .filter(([path, of]) => path && !of.dev && !of.optional && !of.peer)
    .map(([path]) => path.replace('node_modules/', ''));
}

beforeAll(async () => {
  for (const name of ['bin', 'dev', 'tmp', 'work', 'app']) {
    mkdirSync(join(root, name), { recursive: true });
  }
  writeFileSync(join(root, 'dev', 'null'), '');
  const tarball = await pack(folder.path);
  await runOk('tar', ['xzf', tarball.path], folder.path);
  cpSync(join(folder.path, 'package'), join(modules, 'latte-embeddings'), { recursive: true });
  for (const path of dependencies()) {
    cpSync(join(projectRoot, 'node_modules', path), join(modules, path), { recursive: true });
  }
  const programs = 'bash cat date dirname basename env grep head mktemp nproc rm tail uname';
  for (const program of programs.split(' ')) await bring(program);
  await bring(process.execPath);
});
afterAll(folder.remove);

/**
 * The commands that may change the root folder: as root, in a user namespace, or by sudo without a
 * password.
 */
async function chroot(): Promise<string[]> {
  if (process.getuid?.() === 0) return ['/usr/sbin/chroot', root];
  const namespace = ['unshare', '--map-root-user', '/usr/sbin/chroot', root];
  const { status } = await run('unshare', ['--map-root-user', 'true'], folder.path);
  return status === 0 ? namespace : ['sudo', '-n', '/usr/sbin/chroot', root];
}

test('lists what is missing, runs the rest, and writes the file where it was called', async () => {
  const [command, ...args] = await chroot();
  const script = '/app/node_modules/latte-embeddings/scripts/verify-on-npu.sh';
  const inside = ['/bin/env', '-i', 'PATH=/bin', 'HOME=/work', '/bin/bash', '-c'];
  const { status, stdout } = await run(
    command!,
    [...args, ...inside, `cd /work && /bin/bash ${script} --quick`],
    folder.path,
    { ...plainEnvironment(), LD_LIBRARY_PATH: '' },
  );
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
  expect([status, allRight, host.node]).toEqual([1, false, process.version]);
  for (const what of ['a checkout of the project', 'ASCEND_HOME_PATH', 'cmake', 'a C++ compiler']) {
    expect(gaps.filter((gap) => gap.startsWith(what))).toHaveLength(1);
    expect(stdout).toContain(what);
  }
  // The package's own addon was loaded; only the NPU is missing.
  expect(gaps.filter((gap) => gap.startsWith('an addon'))).toEqual([]);
  for (const { skipped, doctor } of Object.values(ways)) {
    expect(doctor.diagnostics).toBeDefined();
    expect(skipped).toContain('CANN');
  }
  expect(existsSync(join(modules, 'latte-embeddings', 'latte-on-npu.json'))).toBe(false);
});
