import { describe, expect, it } from 'vitest';
import { goldenIndex } from '../support/golden.js';
import { cases } from './cases.js';
import { operations, type OperationName } from './operations.js';
import { residencyCases } from './residency.js';
import { nameOf } from './run.js';

describe('the case table', () => {
  const names = Object.keys(operations) as OperationName[];
  it.each(names.flatMap((op) => operations[op].dtypes.map((dtype) => [op, dtype] as const)))(
    'has %s in %s',
    (op, dtype) => {
      expect(cases.filter((c) => c.op === op && c.dtype === dtype).length).toBeGreaterThanOrEqual(
        3,
      );
    },
  );

  it.each(names.filter((op) => 'layer' in operations[op]))(
    'has a row of %s for inputs in other places',
    (op) => {
      expect(residencyCases.map((c) => c.op)).toContain(op);
    },
  );

  it('names no case twice, so that each has numbers of its own', () => {
    const all = cases.map(nameOf);
    expect(all.filter((name, i) => all.indexOf(name) !== i)).toEqual([]);
  });

  it('comes with all 69 golden cases and 11 error cases', () => {
    expect(goldenIndex.cases).toHaveLength(69);
    expect(goldenIndex.count).toBe(69);
    expect(goldenIndex.error_cases).toHaveLength(11);
  });
});
