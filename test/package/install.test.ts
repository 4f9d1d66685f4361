import { cpSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { pack, projectRoot, run, runOk, temporaryFolder } from './project.js';

// A user's project with the packed tarball installed. npm builds the addon on the way, from the
// files of the tarball alone.
const user = temporaryFolder('install');
const installed = join(user.path, 'node_modules', 'latte-embeddings');
const addon = join(installed, 'build', 'Release', 'latte_embeddings.node');

beforeAll(async () => {
  const tarball = await pack(user.path);
  writeFileSync(join(user.path, 'package.json'), JSON.stringify({ name: 'user', private: true }));
  const options = ['--no-audit', '--no-fund', '--prefer-offline'];
  await runOk('npm', ['install', ...options, tarball.path], user.path);
});
afterAll(user.remove);

/** Runs a program of the user's, given as a file name and its text; gives what it printed. */
async function program(name: string, text: string): Promise<string> {
  writeFileSync(join(user.path, name), text);
  return (await runOk(process.execPath, [name], user.path)).trim();
}

describe('a program of the user', () => {
  test('finds an addon that npm built from source', () => {
    expect(existsSync(addon)).toBe(true);
  });

  test('imports it by name', async () => {
    const text = `import { Tensor, PatchEmbed, LatteError } from 'latte-embeddings';
      console.log(Tensor.name, PatchEmbed.name, LatteError.name, Tensor.zeros([2, 3]).size);`;
    expect(await program('import.mjs', text)).toBe('Tensor PatchEmbed LatteError 6');
  });

  test('requires it by name', async () => {
    const text = `const { Tensor } = require('latte-embeddings');
      console.log(Tensor.zeros([2, 3]).size);`;
    expect(await program('require.cjs', text)).toBe('6');
  });

  test('requires its folder by path', async () => {
    const text = `const { Tensor } = require(${JSON.stringify(installed)});
      console.log(Tensor.zeros([2, 3]).size);`;
    expect(await program('folder.cjs', text)).toBe('6');
  });

  test('gets the same classes and the same names from import, require and the folder', async () => {
    const text = `import * as imported from 'latte-embeddings';
      import { createRequire } from 'node:module';
      const require = createRequire(import.meta.url);
      const required = require('latte-embeddings');
      const folder = require(${JSON.stringify(installed)});
      const names = Object.keys(required).sort();
      // What import adds is the whole module as the default export.
      const extra = ['default', 'module.exports', '__esModule'];
      const importedNames = Object.keys(imported).filter((name) => !extra.includes(name)).sort();
      console.log(JSON.stringify({
        names: importedNames.join() === names.join(),
        count: names.length,
        different: names.filter((name) => imported[name] !== required[name] || folder[name] !== required[name]),
      }));`;
    const result = JSON.parse(await program('same.mjs', text)) as { count: number };
    expect(result).toEqual({ names: true, count: result.count, different: [] });
    expect(result.count).toBeGreaterThan(15);
  });

  test('runs the command by name', async () => {
    const args = ['exec', '--offline', '--', 'latte-embeddings', 'devices', '--json'];
    expect(await runOk('npm', args, user.path)).toContain('"cpu"');
  });

  test('is told what to do when the addon is missing', async () => {
    const hidden = join(user.path, 'hidden.node');
    cpSync(addon, hidden);
    rmSync(addon);
    writeFileSync(join(user.path, 'missing.mjs'), `import 'latte-embeddings';`);
    const result = await run(process.execPath, ['missing.mjs'], user.path);
    cpSync(hidden, addon);
    expect(result.status).toBe(1);
    expect(result.stderr).toContain('could not load its native addon');
    expect(result.stderr).toContain(addon);
    expect(result.stderr).toContain('npm rebuild latte-embeddings');
  });
});

describe('typings', () => {
  const usage = `
    const dtype: DType = 'float32';
    const latent: Tensor = Tensor.zeros([1, 4, 8, 8], { dtype });
    const layer = new PatchEmbed({ height: 8, width: 8, patchSize: 2, inChannels: 4, embedDim: 16 });
    export const result: Promise<Tensor> = layer.forward(latent);
    export function codeOf(error: unknown): string {
      return error instanceof LatteError ? error.code : 'none';
    }
    // @ts-expect-error there is no such dtype
    Tensor.zeros([1], { dtype: 'float8' });
    // @ts-expect-error there is no such option
    new PatchEmbed({ patches: 2 });`;
  const byImport = `import { LatteError, PatchEmbed, Tensor, type DType } from 'latte-embeddings';`;
  const byRequire = `import latte = require('latte-embeddings');
    const { LatteError, PatchEmbed, Tensor } = latte;
    type Tensor = latte.Tensor;
    type DType = latte.DType;`;
  // An ESM file and a CommonJS file exchange tensors: both ways lead to one class.
  const exchange = `import { Tensor } from 'latte-embeddings';
    import { result } from './commonjs.cjs';
    export const same: Promise<Tensor> = result;`;

  const compile = async (compilerOptions: object, files: Record<string, string>) => {
    const folder = join(user.path, 'types');
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder);
    for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
    const common = {
      strict: true,
      noEmit: true,
      target: 'es2022',
      types: ['node'],
      typeRoots: [join(projectRoot, 'node_modules', '@types')],
      ...compilerOptions,
    };
    writeFileSync(
      join(folder, 'tsconfig.json'),
      JSON.stringify({ compilerOptions: common, files: Object.keys(files) }),
    );
    const compiler = join(projectRoot, 'node_modules', 'typescript', 'bin', 'tsc');
    const { status, stdout } = await run(process.execPath, [compiler, '-p', folder], folder);
    return { status, stdout };
  };
  const clean = { status: 0, stdout: '' };

  test('resolve for import and require under node16', async () => {
    const files = {
      'module.mts': byImport + usage,
      'commonjs.cts': byRequire + usage,
      'exchange.mts': exchange,
    };
    expect(await compile({ module: 'node16', moduleResolution: 'node16' }, files)).toEqual(clean);
  });

  test('resolve under nodenext', async () => {
    const files = { 'module.mts': byImport + usage, 'commonjs.cts': byRequire + usage };
    expect(await compile({ module: 'nodenext' }, files)).toEqual(clean);
  });

  test('resolve for a bundler', async () => {
    const options = { module: 'esnext', moduleResolution: 'bundler' };
    expect(await compile(options, { 'module.ts': byImport + usage })).toEqual(clean);
  });
});

describe('node-gyp', () => {
  /** A folder with Node's headers: those beside this node, or the few lines that node-gyp reads. */
  function headers(): string {
    const prefix = dirname(dirname(process.execPath));
    if (existsSync(join(prefix, 'include', 'node', 'common.gypi'))) return prefix;
    const folder = join(user.path, 'headers');
    mkdirSync(join(folder, 'include', 'node'), { recursive: true });
    writeFileSync(join(folder, 'include', 'node', 'common.gypi'), '{}');
    return folder;
  }

  test('rebuild ends in the same addon', async () => {
    rmSync(addon);
    // npm puts the node-gyp that comes with it on the path.
    const command = `node-gyp rebuild --nodedir=${JSON.stringify(headers())}`;
    await runOk('npm', ['exec', '--offline', '-c', command], installed);
    expect(existsSync(addon)).toBe(true);
    const url = JSON.stringify(pathToFileURL(join(installed, 'dist', 'index.js')));
    const text = `import latte from ${url}; console.log(latte.Tensor.zeros([2, 3]).size);`;
    expect(await program('after-node-gyp.mjs', text)).toBe('6');
  });
});
