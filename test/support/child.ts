import { spawn } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import ts from 'typescript';
import { afterAll, beforeAll } from 'vitest';

const root = join(__dirname, '..', '..');

/** The folders that child processes may import: the library, and parts of the suite without vitest. */
const folders = [
  'lib',
  'test/reference',
  'test/support',
  'test/parity',
  'test/lifecycle/fixtures',
  'test/npu',
];

/** How a child process ended, and what it printed. */
export interface Ended {
  status: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

export interface Children {
  /** Runs a compiled file ('test/lifecycle/fixtures/exit') in a new Node.js process. */
  run: (
    file: string,
    options?: { args?: string[]; env?: NodeJS.ProcessEnv; node?: string[] },
  ) => Promise<Ended>;
}

function compile(target: string, addon: boolean): void {
  for (const folder of folders) {
    for (const name of readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })) {
      if (!name.endsWith('.ts') || name.endsWith('.test.ts') || name.endsWith('.d.ts')) continue;
      const { outputText } = ts.transpileModule(readFileSync(join(root, folder, name), 'utf8'), {
        compilerOptions: {
          module: ts.ModuleKind.CommonJS,
          target: ts.ScriptTarget.ES2022,
          esModuleInterop: true,
        },
      });
      const file = join(target, folder, name.replace(/\.ts$/, '.js'));
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, outputText);
    }
  }
  symlinkSync(join(root, 'node_modules'), join(target, 'node_modules'), 'dir');
  if (addon) symlinkSync(join(root, 'build'), join(target, 'build'), 'dir');
}

/**
 * Makes a function that runs new Node.js processes, for what a test runner's process cannot show or would
 * not survive. Compiles the library's source into a temporary folder before the tests of the calling file,
 * and removes it after them. `addon: false` leaves out the addon, as after a failed build.
 */
export function children({ addon = true } = {}): Children {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'latte-test-'));
    compile(folder, addon);
  });
  afterAll(() => {
    rmSync(folder, { recursive: true, force: true });
  });
  return {
    run: (file, { args = [], env = {}, node = [] } = {}) =>
      new Promise((resolve, reject) => {
        const child = spawn(process.execPath, [...node, join(folder, `${file}.js`), ...args], {
          env: { ...process.env, NODE_OPTIONS: '', ...env },
          stdio: ['ignore', 'pipe', 'pipe'],
          // This only ends what hangs; no test compares durations with it.
          timeout: process.env.LATTE_SANITIZER ? 580_000 : 280_000,
          killSignal: 'SIGKILL',
        });
        let stdout = '';
        let stderr = '';
        child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
        child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
        child.on('error', reject);
        child.on('close', (status, signal) => resolve({ status, signal, stdout, stderr }));
      }),
  };
}
