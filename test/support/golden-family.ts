import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { DType, FloatDType, Tensor } from '../../lib/index.js';
import { readGolden, type StoredTensor } from './safetensors.js';
import { fromStored } from './tensors.js';

/** The folder of the family's golden data; README.md there describes it. */
export const familyFolder = join(__dirname, '..', 'golden-family');

/** The expected value of one result. */
export interface FamilyResult {
  truth: unknown;
  tol: number;
  dtype: DType;
}

export interface FamilyCase {
  kind: 'layer' | 'fn' | 'checkpoint' | 'submodule' | 'state' | 'error';
  label: string;
  class?: string;
  fn?: string;
  checkpoint?: string;
  layer?: string;
  layers?: string[];
  className?: string;
  dtype?: FloatDType;
  options?: Record<string, unknown>;
  load?: Record<string, unknown>;
  state?: Record<string, unknown>;
  prefix?: string;
  args?: unknown[];
  out?: Record<string, FamilyResult | null>;
  message?: string;
  code?: string;
}

const manifest = JSON.parse(readFileSync(join(familyFolder, 'manifest.json'), 'utf8')) as {
  cases: FamilyCase[];
};
const stored = readGolden(join(familyFolder, 'data.safetensors'));

export const familyCases: readonly FamilyCase[] = manifest.cases;

/** A tensor that the manifest refers to, as it is stored. */
export function storedTensor(reference: unknown): StoredTensor {
  return stored.get((reference as { $: string }).$)!;
}

/** A value of the manifest, in which references are replaced by tensors; a null argument is undefined. */
export function resolved(value: unknown): unknown {
  if (value === null) return undefined;
  if (typeof value !== 'object') return value;
  if (Array.isArray(value)) return value.map(resolved);
  if ('$' in value) return fromStored(storedTensor(value));
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, resolved(inner)]));
}

/** The results of a forward or a function, by the manifest's names. */
export function namedResults(result: unknown, out: FamilyCase['out']): Record<string, Tensor> {
  return ('result' in out! && Object.keys(out).length === 1 ? { result } : result) as Record<
    string,
    Tensor
  >;
}
