import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { projectRoot, run, runOk, temporaryFolder } from './project.js';

// Runs the code of the README, of the guides and of examples/ unchanged.
const folder = temporaryFolder('guides');
const checkpoint = join(projectRoot, 'test', 'golden', 'checkpoints', 'latte');
const pages = ['README.md', 'docs/layers.md', 'docs/memory.md', 'docs/threads.md'].concat(
  'docs/troubleshooting.md',
);
const text = (path: string) => readFileSync(join(projectRoot, path), 'utf8');

beforeAll(() => {
  mkdirSync(join(folder.path, 'node_modules'));
  symlinkSync(projectRoot, join(folder.path, 'node_modules', 'latte-embeddings'));
  symlinkSync(checkpoint, join(folder.path, 'Latte-1'));
});
afterAll(folder.remove);

describe.concurrent('programs of the guides', () => {
  const programs = pages.flatMap((page) =>
    [...text(page).matchAll(/^```js\n(.*?)^```$/gms)].map(([, program]) => ({
      page,
      program: program!,
    })),
  );

  test('are there', () => {
    expect(programs.map(({ page }) => page)).toEqual(expect.arrayContaining(pages));
  });

  test.for(programs)('$page: $program', async ({ program }) => {
    const place = mkdtempSync(join(folder.path, 'program-'));
    const path = join(place, 'program.mjs');
    // A host of the tests has no NPU.
    writeFileSync(path, program.replaceAll(`'npu:0'`, `'cpu'`));
    const args = ['--unhandled-rejections=strict', path];
    const result = await run(process.execPath, args, folder.path);
    expect(result.status, result.stderr).toBe(0);
    // The comment behind a console.log must show what was printed.
    for (const [, shown] of program.matchAll(/console\.log\(.*\); \/\/ ([^…\n]+)/g)) {
      expect(result.stdout.replace(/\[ (.*?) \]/g, '[$1]')).toContain(shown!.trim());
    }
  });
});

describe('links of the guides', () => {
  const linked = ['README.md', 'CONTRIBUTING.md', 'SECURITY.md'].concat(
    readdirSync(join(projectRoot, 'docs'))
      .filter((name) => name.endsWith('.md'))
      .map((name) => `docs/${name}`),
  );

  test.each(linked)('%s', (page) => {
    const anchors = (path: string) =>
      [...text(path).matchAll(/^#+ (.*)$/gm)].map(([, heading]) =>
        heading!
          .toLowerCase()
          .replace(/[^\p{L}\p{N} _-]/gu, '')
          .replaceAll(' ', '-'),
      );
    const links = [...text(page).matchAll(/\]\((?!https?:)([^)#\s]*)(?:#([^)\s]*))?\)/g)];
    for (const [link, path, anchor] of links) {
      const target = path === '' ? page : join(page, '..', path!);
      expect(exists(target), `${page}: ${link}`).toBe(true);
      if (anchor !== undefined) expect(anchors(target), `${page}: ${link}`).toContain(anchor);
    }
  });

  const exists = (path: string): boolean =>
    readdirSync(join(projectRoot, path, '..')).includes(path.replace(/\/$/, '').split('/').at(-1)!);
});

test('troubleshooting.md has every error code, and no other', () => {
  const [, union] = /type LatteErrorCode =([^;]*);/.exec(text('lib/errors.ts'))!;
  const codes = [...union!.matchAll(/'(ERR_\w+)'/g)].map(([, code]) => code);
  expect(codes.length).toBeGreaterThanOrEqual(10);
  const sections = text('docs/troubleshooting.md').split(/^## /m).slice(1);
  const described = sections.filter((section) => section.startsWith('ERR_'));
  expect(described.map((section) => section.split('\n')[0])).toEqual(codes);
  for (const section of described) expect(section.length, section).toBeGreaterThan(60);
});

describe.concurrent('examples', () => {
  const example = (name: string, ...args: string[]) =>
    runOk(process.execPath, [join('examples', `${name}.mjs`), ...args], projectRoot);

  test('one layer', async () => {
    expect(await example('one-layer')).toBe('[ 2, 1024, 1152 ]\n1 2\n');
  });

  test('a checkpoint to conditioning tensors, and a loop', async () => {
    const printed = await example('conditioning', join(checkpoint, 'transformer'));
    const step = '[ 32, 16, 48 ] [ 2, 288 ] [ 2, 48 ]';
    const steps = [999, 749, 499, 249].map((timestep) => `${timestep} ${step}\n`);
    expect(printed).toBe(`encoderHiddenStates [ 2, 120, 48 ]\n${steps.join('')}`);
  });

  test('several workers', async () => {
    const lines = [1, 2, 3].map((scale) => `${scale} [ 2, 120, 32 ] ${scale}\n`);
    expect(await example('workers')).toBe(lines.join(''));
  });
});
