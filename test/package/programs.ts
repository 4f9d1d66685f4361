import { join } from 'node:path';
import { expect } from 'vitest';
import type { User } from './managers.js';
import { projectRoot } from './project.js';

/** The kinds of a user's program. */
export const kinds = [
  'cjs',
  'esm',
  'nodenext',
  'nodenext, no @types/node',
  'bundler',
  'bundler, no @types/node',
] as const;
export type Kind = (typeof kinds)[number];

/** A forward with known results: patches of ones, weights of ones, and a bias of two. */
const body = `
const layer = new PatchEmbed({ height: 8, width: 8, patchSize: 2, inChannels: 4, embedDim: 16, device: 'cpu' });
const filled = (n, value) => new Float32Array(n).fill(value);
layer.loadStateDict({
  'proj.weight': new Tensor('float32', filled(16 * 16, 1), [16, 4, 2, 2]),
  'proj.bias': new Tensor('float32', filled(16, 2), [16]),
});
const latent = new Tensor('float32', filled(256, 1), [1, 4, 8, 8]);
const table = get2dSincosPosEmbed(16, 4, { baseSize: 4 }).data;
layer.forward(latent).then((tokens) => {
  const off = tokens.data.map((value, i) => Math.abs(value - 18 - table[i]));
  console.log(JSON.stringify([tokens.shape, Math.max(...off) < 1e-5, process.versions.node.split('.')[0]]));
});
`;
const names = '{ PatchEmbed, Tensor, get2dSincosPosEmbed }';
const imports = `import ${names} from 'latte-embeddings';\n`;
const typed = `import { PatchEmbed, Tensor, get2dSincosPosEmbed, LatteError, type DType } from 'latte-embeddings';
declare const console: { log(text: string): void };
declare const process: { versions: { node: string } };
const dtype: DType = 'float32';
export const result: Promise<Tensor> | undefined = undefined;
export const codeOf = (error: unknown): string => (error instanceof LatteError ? error.code : dtype);
// @ts-expect-error there is no such dtype
export const wrong = () => Tensor.zeros([1], { dtype: 'float8' });
// @ts-expect-error there is no such option
export const wrongToo = () => new PatchEmbed({ patches: 2 });
${body.replace('(n, value)', '(n: number, value: number)').replaceAll('tokens.data.map', '(tokens.data as Float32Array).map').replace('.data;', '.data as Float32Array;')}`;

/**
 * Writes the program, and compiles it if it is TypeScript. Returns the name of the file that Node.js runs.
 */
async function programOf(user: User, kind: Kind, index: number): Promise<string> {
  if (kind === 'cjs') {
    user.write('program.cjs', `const ${names} = require('latte-embeddings');\n${body}`);
    return 'program.cjs';
  }
  if (kind === 'esm') {
    user.write('program.mjs', imports + body);
    return 'program.mjs';
  }
  const withNode = !kind.includes('no @types');
  const text = withNode ? typed.replace(/^declare .*\n/gm, '') : typed;
  user.write(`typed${index}.mts`, text);
  const resolution = kind.startsWith('bundler')
    ? { module: 'esnext', moduleResolution: 'bundler' }
    : { module: 'nodenext', moduleResolution: 'nodenext' };
  const compilerOptions = {
    ...{ strict: true, skipLibCheck: false, target: 'es2022', outDir: '.' },
    ...resolution,
    // Checking the browser's types takes as long as all others. AbortSignal comes from them or from
    // Node.js'.
    lib: withNode ? ['es2022'] : ['es2022', 'dom'],
    types: withNode ? ['node'] : [],
    typeRoots: withNode ? [join(projectRoot, 'node_modules', '@types')] : [],
  };
  const config = JSON.stringify({ compilerOptions, files: [`typed${index}.mts`] });
  user.write(`tsconfig${index}.json`, config);
  await user.compile(`tsconfig${index}.json`);
  return `typed${index}.mjs`;
}

/**
 * Installs the package from its tarball, runs a program of each kind and the command line.
 *
 * @param major the version of Node.js that has to run them.
 */
export async function tryPackage(
  user: User,
  tarball: string,
  of: readonly Kind[],
  major: string,
): Promise<void> {
  user.write('package.json', JSON.stringify({ name: 'user', private: true }));
  await user.add(tarball);
  for (const [index, kind] of of.entries()) {
    const printed = await user.node(await programOf(user, kind, index));
    expect(JSON.parse(printed), kind).toEqual([[1, 16, 16], true, major]);
  }
  expect(await user.command('latte-embeddings', 'devices', '--json')).toContain('"cpu"');
}
