import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach } from 'vitest';

const root = join(__dirname, '..', '..');

/** The compiled command line. */
export const bin = join(root, 'dist', 'cli', 'main.js');

/** The small golden checkpoint: float32, with diffusers' names. */
export const latteFolder = join(root, 'test/golden/checkpoints/latte/transformer');
export const pixartFolder = join(root, 'test/golden/checkpoints/pixart/transformer');
export const mindoneFolder = join(root, 'test/golden/checkpoints/latte_mindone');
export const trainFolder = join(root, 'test/golden/checkpoints/latte_mindone_train');
/** The file with inputs and outputs of a golden checkpoint: 'latte', 'pixart' … */
export const expectedFile = (name: string): string =>
  join(root, `test/golden/checkpoints/expected_${name}.safetensors`);

if (!existsSync(bin)) {
  throw new Error(`${bin} is missing: run \`npm run build:ts\` before the command line's tests`);
}

export interface Finished {
  status: number | null;
  stdout: string;
  stderr: string;
}

/** Runs `latte-embeddings`; both output streams are pipes. */
export function run(args: string[], env: NodeJS.ProcessEnv = {}): Promise<Finished> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [bin, ...args], {
      env: { ...process.env, LATTE_DEBUG: '', NODE_OPTIONS: '', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let [stdout, stderr] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    child.on('error', reject);
    child.on('close', (status) => resolve({ status, stdout, stderr }));
  });
}

/** Returns a function that makes a folder for the running test; it is removed after the test. */
export function temporaryFolders(): () => string {
  const folders: string[] = [];
  afterEach(() => {
    for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
  });
  return () => {
    const folder = mkdtempSync(join(tmpdir(), 'latte-cli-'));
    folders.push(folder);
    return folder;
  };
}
