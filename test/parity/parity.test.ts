import { describe, it } from 'vitest';
import { testedDevices } from '../support/devices.js';
import { cases } from './cases.js';
import { check, nameOf } from './run.js';

describe.each(testedDevices)('on %s', (device) => {
  it.each(cases.map((c) => [nameOf(c), c] as const))('%s', async (_, c) => {
    await check(c, device);
  });
});
