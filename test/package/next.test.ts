import { spawn, type ChildProcess } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { pack, plainEnvironment, projectRoot, runOk, temporaryFolder } from './project.js';

// Next.js itself builds a route handler that computes, with the configuration of docs/install.md. Its
// standalone server runs in a folder of its own. Only with LATTE_INSTALL_TESTS=all: installing Next.js
// takes longer than all other bundlers together.
const packages = ['next@16.4.6', 'react@19.3.1', 'react-dom@19.3.1'];

const folder = temporaryFolder('next');
let server: ChildProcess | undefined;
afterAll(() => {
  server?.kill();
  folder.remove();
});

const route = `import { PatchEmbed, Tensor, devices } from 'latte-embeddings';
export const dynamic = 'force-dynamic';
export async function GET() {
  const layer = new PatchEmbed({ height: 2, width: 2, patchSize: 2, inChannels: 1, embedDim: 4, posEmbedType: null, device: 'cpu' });
  layer.loadStateDict({
    'proj.weight': new Tensor('float32', new Float32Array(16).fill(1), [4, 1, 2, 2]),
    'proj.bias': new Tensor('float32', new Float32Array(4).fill(2), [4]),
  });
  const tokens = await layer.forward(new Tensor('float32', new Float32Array([1, 2, 3, 4]), [1, 1, 2, 2]));
  return Response.json([[...tokens.data], devices()[0].name]);
}
`;

/** The configuration of docs/install.md. */
function configuration(): string {
  const page = readFileSync(join(projectRoot, 'docs', 'install.md'), 'utf8');
  const [, block] = /^```js\n(\/\/ next\.config\.mjs\n.*?)^```$/ms.exec(page) ?? [];
  if (block === undefined) throw new Error('docs/install.md has no next.config.mjs');
  return block;
}

test('a route handler computes in the standalone server', async () => {
  const project = join(folder.path, 'project');
  mkdirSync(join(project, 'app', 'embed'), { recursive: true });
  writeFileSync(join(project, 'package.json'), '{ "name": "app", "private": true }');
  writeFileSync(join(project, 'next.config.mjs'), configuration());
  const layout = 'export default function Layout({ children }) { return children; }\n';
  writeFileSync(join(project, 'app', 'layout.js'), layout);
  writeFileSync(join(project, 'app', 'embed', 'route.js'), route);
  const tarball = await pack(folder.path);
  const quiet = ['--no-audit', '--no-fund', '--ignore-scripts', '--prefer-offline'];
  await runOk('npm', ['install', ...quiet, ...packages, tarball.path], project);
  const environment = { ...plainEnvironment(), NEXT_TELEMETRY_DISABLED: '1', LATTE_ADDON: '' };
  const cli = join(project, 'node_modules', 'next', 'dist', 'bin', 'next');
  await runOk(process.execPath, [cli, 'build'], project, environment);

  const place = join(folder.path, 'elsewhere');
  cpSync(join(project, '.next', 'standalone'), place, { recursive: true });
  const addons = ['node_modules', 'latte-embeddings', 'prebuilds'];
  const packed = tarball.files.filter((file) => file.endsWith('.node'));
  expect(packed.map((file) => file.replace('prebuilds/', ''))).toEqual(
    readdirSync(join(place, ...addons), { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.node'))
      .sort(),
  );
  const port = await freePort();
  const address = { PORT: String(port), HOSTNAME: '127.0.0.1' };
  server = spawn(process.execPath, ['server.js'], {
    cwd: place,
    env: { ...environment, ...address },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await new Promise<void>((ready, failed) => {
    server!.stdout!.on('data', (text: Buffer) => {
      if (text.toString().includes('Ready')) ready();
    });
    server!.once('exit', (status) => failed(new Error(`server.js ended with status ${status}`)));
  });
  const answer = await fetch(`http://127.0.0.1:${port}/embed`);
  expect([answer.status, await answer.json()]).toEqual([200, [[12, 12, 12, 12], 'cpu']]);
});

function freePort(): Promise<number> {
  return new Promise((found) => {
    const probe = createServer().listen(0, '127.0.0.1', () => {
      const { port } = probe.address() as AddressInfo;
      probe.close(() => found(port));
    });
  });
}
