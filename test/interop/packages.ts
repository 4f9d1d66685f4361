// The real packages, which `npm ci --prefix examples/sample --ignore-scripts` installs.
import { execFile } from 'node:child_process';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';

export const sampleFolder = join(__dirname, '../../examples/sample');

const require = createRequire(join(sampleFolder, 'package.json'));

export type Ort = typeof import('../../examples/sample/node_modules/onnxruntime-node');
export type Transformers =
  typeof import('../../examples/sample/node_modules/@huggingface/transformers');

export const ort = require('onnxruntime-node') as Ort;

/** Imports a package that has ES modules only. */
export async function importTransformers(): Promise<Transformers> {
  const path = require.resolve('@huggingface/transformers');
  return (await import(pathToFileURL(path).href)) as Transformers;
}

/** `npm run sample` with options, in the folder of the example. */
export async function runSample(...options: string[]): Promise<{ stdout: string }> {
  const args = ['--import', 'tsx', 'main.ts', ...options];
  return promisify(execFile)(process.execPath, args, { cwd: sampleFolder });
}
