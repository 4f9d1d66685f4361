import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { pack, plainEnvironment, projectRoot, run, runOk, temporaryFolder } from './project.js';
import { installTools } from './tools.js';

// Packs programs by real bundlers, and runs them in a folder that has nothing else. The commands and
// configurations are those of docs/install.md.
const versions = {
  esbuild: '0.28.2',
  webpack: '5.113.0',
  'node-loader': '2.1.0',
  '@vercel/nft': '1.11.5',
  '@electron/asar': '3.4.1',
};

const folder = temporaryFolder('bundlers');
const project = join(folder.path, 'project');
const installed = join('node_modules', 'latte-embeddings');
let toolPath: (...path: string[]) => string;
let environment: NodeJS.ProcessEnv;

const page = readFileSync(join(projectRoot, 'docs', 'install.md'), 'utf8');
const section = page.slice(page.indexOf('\n## Bundlers\n'));
const blocks = [...section.matchAll(/^```(\w+)\n(.*?)^```$/gms)].map(([, , text]) => text!);

/** The block of the page that starts with `start`. */
function blockOf(start: string): string {
  const found = blocks.find((text) => text.startsWith(start));
  if (found === undefined)
    throw new Error(`docs/install.md has no block that starts with ${start}`);
  return found;
}

const body = `console.log([...getTimestepEmbedding([0], 4).data].join(), devices()[0].name);\n`;
const names = '{ devices, getTimestepEmbedding }';

beforeAll(async () => {
  toolPath = await installTools('build-bundlers', versions);
  const tarball = await pack(folder.path);
  await runOk('tar', ['xzf', tarball.path], folder.path);
  mkdirSync(join(project, 'node_modules'), { recursive: true });
  cpSync(join(folder.path, 'package'), join(project, installed), { recursive: true });
  writeFileSync(join(project, 'package.json'), '{ "name": "app", "main": "app.cjs" }');
  writeFileSync(join(project, 'app.cjs'), `const ${names} = require('latte-embeddings');\n${body}`);
  writeFileSync(join(project, 'app.mjs'), `import ${names} from 'latte-embeddings';\n${body}`);
  environment = {
    ...plainEnvironment(),
    PATH: `${toolPath('.bin')}:${process.env.PATH}`,
    // The folder in which the program below finds webpack; webpack has a setting of its own for loaders.
    NODE_PATH: toolPath(),
    LATTE_ADDON: '',
  };
});
afterAll(folder.remove);

/** Copies files to a folder without a node_modules nearby, and runs a program there. */
function runElsewhere(name: string, program: string, copied: Record<string, string>) {
  const place = join(folder.path, 'elsewhere', name);
  for (const [to, from] of Object.entries(copied)) {
    mkdirSync(dirname(join(place, to)), { recursive: true });
    cpSync(join(project, from), join(place, to), { recursive: true });
  }
  return run(process.execPath, [program], place, { ...environment, NODE_PATH: '' });
}

const works = { status: 0, stdout: '0,0,1,1 cpu\n', stderr: '' };

describe('esbuild', () => {
  beforeAll(() => runOk('sh', ['-ec', blockOf('esbuild')], project, environment));

  test.each(['app.cjs', 'app.mjs'])('bundles %s with the addon beside it', async (program) => {
    const result = await runElsewhere(`esbuild-${program}`, program, { '.': 'bundle' });
    expect(result).toEqual(works);
  });

  test('leaves the package outside', async () => {
    const copied = { '.': 'outside', node_modules: 'node_modules' };
    expect(await runElsewhere('esbuild-outside', 'app.mjs', copied)).toEqual(works);
  });
});

test('webpack bundles CommonJS and ES modules with node-loader', async () => {
  writeFileSync(join(project, 'webpack.config.cjs'), blockOf('// webpack.config.cjs'));
  // webpack-cli does the same, but would be one more package to install.
  writeFileSync(
    join(project, 'webpack.cjs'),
    `const configurations = require('./webpack.config.cjs').map((of) => ({
       ...of,
       resolveLoader: { modules: [${JSON.stringify(toolPath())}] },
     }));
     require('webpack')(configurations, (error, stats) => {
       if (error || stats.hasErrors()) throw error ?? new Error(stats.toString('errors-only'));
     });`,
  );
  await runOk(process.execPath, ['webpack.cjs'], project, environment);
  for (const program of ['app.cjs', 'app.mjs']) {
    const result = await runElsewhere(`webpack-${program}`, program, { '.': 'dist' });
    expect(result, program).toEqual(works);
  }
});

test("Next.js' tracing finds the addons of both platforms", async () => {
  const cli = toolPath('@vercel', 'nft', 'out', 'cli.js');
  const printed = await runOk(process.execPath, [cli, 'print', 'app.mjs'], project, environment);
  const files = printed.split('\n').filter((line) => /^(app\.mjs|node_modules\/)/.test(line));
  for (const platform of ['linux-x64', 'linux-arm64']) {
    expect(files).toContain(join(installed, 'prebuilds', platform, 'latte.node'));
  }
  const copied = Object.fromEntries(files.map((file) => [file, file]));
  expect(await runElsewhere('traced', 'app.mjs', copied)).toEqual(works);
});

test("Electron's archive has the addons outside, and all else inside", async () => {
  const app = join(project, 'app');
  cpSync(join(project, installed), join(app, installed), { recursive: true });
  for (const file of ['app.cjs', 'package.json']) cpSync(join(project, file), join(app, file));
  await runOk('sh', ['-ec', blockOf('asar')], project, environment);
  const outside = readdirSync(join(project, 'app.asar.unpacked'), {
    recursive: true,
    withFileTypes: true,
  });
  expect(
    outside
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name).split('/prebuilds/')[1])
      .sort(),
  ).toEqual(
    readdirSync(join(projectRoot, 'prebuilds'))
      .map((platform) => `${platform}/latte.node`)
      .sort(),
  );
  // Electron shows the archive and the unpacked files as one folder, and so does the extracted archive.
  await runOk('asar', ['extract', 'app.asar', 'extracted'], project, environment);
  expect(await runElsewhere('electron', 'app.cjs', { '.': 'extracted' })).toEqual(works);
});
