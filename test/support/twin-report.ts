import { afterAll, expect } from 'vitest';
import { twin } from './twin.js';

// Every file of tests that runs on the twin must have kept its rules.

afterAll(() => {
  expect(twin().violations()).toEqual([]);
});
