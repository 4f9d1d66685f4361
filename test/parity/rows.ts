import type { Case, InputCase } from './run.js';

export /** The dtypes that layers compute in. */
const floats = ['float32', 'float16', 'bfloat16'] as const;

/** A case that has no dtype yet; an input of the case's dtype is its shape alone. */
export type Row = Omit<Case, 'op' | 'dtype' | 'inputs'> & {
  inputs: Record<string, number[] | InputCase>;
};

/** Rows of one layer, each in every dtype. */
export function everyDtype(op: Case['op'], rows: readonly Row[]): Case[] {
  return rows.flatMap(({ inputs, ...row }) =>
    floats.map((dtype) => ({
      op,
      dtype,
      ...row,
      inputs: Object.fromEntries(
        Object.entries(inputs).map(([name, input]) => [
          name,
          Array.isArray(input) ? { shape: input } : input,
        ]),
      ),
    })),
  );
}
