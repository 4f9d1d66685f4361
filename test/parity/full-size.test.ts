import { describe, expect, it } from 'vitest';
import type { Tensor } from '../../lib/index.js';
import type { Float } from '../reference/rounding.js';
import * as compare from '../support/compare.js';
import { computes, testedDevices } from '../support/devices.js';
import { fullSizeCases, sample } from './full-size.js';
import { compute, nameOf } from './run.js';

describe.each(testedDevices)('sampled entries on %s', (device) => {
  const computed = fullSizeCases.filter(({ dtype }) => computes(device, dtype));
  it.each(computed.map((c) => [nameOf(c), c] as const))('%s', async (_, c) => {
    const [[result]] = (await compute(c, device, ['forward'])) as [[Tensor]];
    const here = await result.to('cpu');
    const { got, expected } = sample(c, here, device);
    expect(compare.near(got, expected, c.dtype as Float)).toBeUndefined();
    here.dispose();
    result.dispose();
  });
});
