import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { pack, projectRoot, runOk, temporaryFolder } from './project.js';

// Checks the packed tarball by tools that check packages of the registry.
const folder = temporaryFolder('published');
let tarball: string;

beforeAll(async () => {
  tarball = (await pack(folder.path)).path;
});
afterAll(folder.remove);

const tool = (...path: string[]) => join(projectRoot, 'node_modules', ...path);

test('publint reports nothing', async () => {
  const args = [tool('publint', 'src', 'cli.js'), 'run', tarball, '--strict'];
  expect(await runOk(process.execPath, args, folder.path)).toContain('All good!');
});

test('the types fit the JavaScript for every kind of resolution', async () => {
  const cli = tool('@arethetypeswrong', 'cli', 'dist', 'index.js');
  const args = [cli, tarball, '--format', 'json', '--no-definitely-typed'];
  const { analysis } = JSON.parse(await runOk(process.execPath, args, folder.path)) as {
    analysis: { problems: unknown[]; entrypoints: Record<string, { resolutions: object }> };
  };
  expect(analysis.problems).toEqual([]);
  expect(Object.keys(analysis.entrypoints)).toEqual(['.', './package.json']);
  expect(Object.keys(analysis.entrypoints['.']!.resolutions)).toEqual([
    ...['node10', 'node16-cjs', 'node16-esm', 'bundler'],
  ]);
});
