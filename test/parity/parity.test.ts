import { describe, it } from 'vitest';
import { devices } from '../../lib/index.js';
import { cases } from './cases.js';
import { check, nameOf } from './run.js';

describe.each(devices().map(({ name }) => name))('on %s', (device) => {
  it.each(cases.map((c) => [nameOf(c), c] as const))('%s', async (_, c) => {
    await check(c, device);
  });
});
