import { afterAll, expect } from 'vitest';
import { twin } from './twin.js';

// A test file on the twin fails if its process has broken a rule.

afterAll(() => {
  expect(twin().violations()).toEqual([]);
});
