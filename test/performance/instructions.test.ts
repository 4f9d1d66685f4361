import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, it } from 'vitest';
import committed from './instructions.json';

const root = join(__dirname, '..', '..');

/**
 * What a kernel may take beyond the committed count. The same compiler gives the same count in every
 * run; another version of it allocates registers and unrolls differently, which only a kernel that
 * lost its vector code exceeds.
 */
const sameCompiler = 1.05;
const otherCompiler = 1.6;

describe('instructions of the CPU kernels, as valgrind counts them (AVX2, one thread)', () => {
  let measured: typeof committed;

  beforeAll(async () => {
    const script = join(root, 'scripts', 'count-instructions.sh');
    const { stdout } = await promisify(execFile)(script);
    measured = JSON.parse(stdout) as typeof committed;
  });

  it('counts the kernels of the instruction set that the bounds are for', () => {
    expect(measured.target).toBe(committed.target);
    expect(Object.keys(measured.counts)).toEqual(Object.keys(committed.counts));
  });

  it.each(Object.entries(committed.counts))('%s', (name, bound) => {
    const allowance = measured.compiler === committed.compiler ? sameCompiler : otherCompiler;
    const count = (measured.counts as Record<string, number>)[name]!;
    expect(
      count / bound,
      `${count} instructions by ${measured.compiler}, ${bound} by ${committed.compiler}; ` +
        'scripts/count-instructions.sh --update takes a change that is meant',
    ).toBeLessThanOrEqual(allowance);
  });
});
