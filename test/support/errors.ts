import { expect } from 'vitest';
import { LatteError, type LatteErrorCode } from '../../lib/index.js';

/** The parts of a refusal's message: the argument's name, what was expected, and what came. */
export type Fragment = string | RegExp;

function check(error: unknown, code: LatteErrorCode, fragments: readonly Fragment[]): LatteError {
  if (!(error instanceof LatteError)) throw error;
  expect(`${error.code}: ${error.message}`).toContain(`${code}: `);
  for (const fragment of fragments) {
    if (typeof fragment === 'string') expect(error.message).toContain(fragment);
    else expect(error.message).toMatch(fragment);
  }
  return error;
}

/** Runs a call that must throw, and checks the error's code and message. */
export function refused(
  run: () => unknown,
  code: LatteErrorCode,
  ...fragments: Fragment[]
): LatteError {
  let result: unknown;
  try {
    result = run();
  } catch (error) {
    return check(error, code, fragments);
  }
  if (result instanceof Promise) result.catch(() => undefined);
  throw new Error(`${code} was expected, but nothing was thrown`);
}

/** Runs a call that must throw or reject, and checks the error's code and message. */
export async function rejected(
  run: () => Promise<unknown>,
  code: LatteErrorCode,
  ...fragments: Fragment[]
): Promise<LatteError> {
  try {
    await run();
  } catch (error) {
    return check(error, code, fragments);
  }
  throw new Error(`${code} was expected, but nothing was thrown`);
}
