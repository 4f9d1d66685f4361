import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readGolden, type StoredTensor } from './safetensors.js';

/** The folder of the golden data. */
export const goldenFolder = join(__dirname, '..', 'golden');

/** The reference's options by its own names, in snake case. */
export type Params = Record<string, number | number[] | boolean | string | null | undefined>;

export interface GoldenCase {
  file: string;
  op: string;
  params: Params;
  expected_dtype: string;
  expected_shape: number[];
  atol: number;
  rtol: number;
  note: string;
}

export interface GoldenErrorCase {
  name: string;
  op: string;
  params: Params;
  inputs: Record<string, { dtype: string; shape: number[]; fill: number }>;
  error_kind: string;
  error_contains: string | null;
}

export const goldenIndex = JSON.parse(readFileSync(join(goldenFolder, 'index.json'), 'utf8')) as {
  count: number;
  cases: GoldenCase[];
  error_cases: GoldenErrorCase[];
};

export function goldenTensors(golden: GoldenCase): Map<string, StoredTensor> {
  return readGolden(join(goldenFolder, golden.file));
}

/** The names in a golden file that are inputs, not parameters. */
const inputNames = new Set([
  'pos',
  'latent',
  'timesteps',
  'sample',
  'condition',
  'timestep',
  'resolution',
  'aspect_ratio',
  'caption',
  'force_drop_ids',
  'expected',
  'expected_f64',
  'tol',
]);

/**
 * The parameters of a golden file. They include the stored table only if the case was made with it loaded.
 */
export function goldenWeights(golden: GoldenCase): Map<string, StoredTensor> {
  const weights = new Map<string, StoredTensor>();
  for (const [name, tensor] of goldenTensors(golden)) {
    const skipped = name === 'pos_embed' && golden.params.pos_embed_loaded !== true;
    if (!inputNames.has(name) && !skipped) weights.set(name, tensor);
  }
  return weights;
}

/** Converts embed_dim to embedDim; leaves out options that are null, which means their default. */
export function camelCase(params: Params): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(params)
      .filter(([, value]) => value !== null)
      .map(([name, value]) => [
        name.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase()),
        value,
      ]),
  );
}
