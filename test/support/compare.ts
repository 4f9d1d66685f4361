import { allowance, type Approx } from '../reference/array.js';
import { overflowAt, type Float } from '../reference/rounding.js';

function at(index: number, shape: readonly number[]): string {
  const place: number[] = [];
  let rest = index;
  for (const length of [...shape].reverse()) {
    place.unshift(rest % length);
    rest = Math.floor(rest / length);
  }
  return `[${place.join(', ')}]`;
}

/** Compares by the rule of golden/README.md; returns the first and the worst element that fail. */
export function golden(
  result: ArrayLike<number>,
  expected: ArrayLike<number>,
  shape: readonly number[],
  tolerance: { atol: number; rtol: number; tol?: ArrayLike<number> },
): string | undefined {
  const { atol, rtol, tol } = tolerance;
  return firstFailure(result, shape, (r, i) => {
    const e = expected[i]!;
    if (Number.isNaN(e)) return Number.isNaN(r) ? undefined : `${r} instead of NaN`;
    if (!Number.isFinite(e)) return r === e ? undefined : `${r} instead of ${e}`;
    const allowed = (tol?.[i] ?? atol) + rtol * Math.abs(e);
    return Math.abs(r - e) <= allowed ? undefined : `${r} instead of ${e} ± ${allowed}`;
  });
}

/** Whether a result in a dtype is within the allowance of an exact value. */
export function near(
  result: ArrayLike<number>,
  expected: Approx,
  dtype: Float,
): string | undefined {
  const limit = overflowAt(dtype);
  return firstFailure(result, expected.shape, (r, i) => {
    const value = expected.value[i]!;
    const error = allowance(expected, i);
    if (Number.isNaN(value)) return Number.isNaN(r) ? undefined : `${r} instead of NaN`;
    if (Math.abs(value) + error >= limit && r === Math.sign(value) * Infinity) return undefined;
    if (Math.abs(value) - error >= limit) return `${r} instead of an infinity`;
    return Math.abs(r - value) <= error ? undefined : `${r} instead of ${value} ± ${error}`;
  });
}

function firstFailure(
  result: ArrayLike<number>,
  shape: readonly number[],
  check: (r: number, i: number) => string | undefined,
): string | undefined {
  const size = shape.reduce((product, length) => product * length, 1);
  if (result.length !== size) return `${result.length} elements instead of ${size}`;
  let first: string | undefined;
  let failures = 0;
  for (let i = 0; i < size; i++) {
    const message = check(result[i]!, i);
    if (message === undefined) continue;
    failures++;
    first ??= `element ${at(i, shape)} is ${message}`;
  }
  return first === undefined ? undefined : `${first} (${failures} of ${size} elements are off)`;
}
