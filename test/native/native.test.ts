import { expect, it } from 'vitest';
import { runTest, testsOf } from './programs.js';

// Tests of native/core and native/system alone.
it.each(testsOf('latte_system_test'))('%s', async (name) => {
  expect(await runTest('latte_system_test', name)).toBe('1 passed\n');
});
