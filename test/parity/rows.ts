import type { Case, InputCase } from './run.js';

export /** The dtypes that layers compute in. */
const floats = ['float32', 'float16', 'bfloat16'] as const;

/** A case without a dtype. Of an input with the case's dtype it has only the shape. */
export type Row = Omit<Case, 'op' | 'dtype' | 'inputs'> & {
  inputs: Record<string, number[] | InputCase>;
};

/** Makes a case of each row in each dtype. */
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
