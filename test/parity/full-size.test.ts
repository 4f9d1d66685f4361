import { describe, expect, it } from 'vitest';
import { devices, type Tensor } from '../../lib/index.js';
import type { Float } from '../reference/rounding.js';
import * as compare from '../support/compare.js';
import { fullSizeCases, sample } from './full-size.js';
import { compute, nameOf } from './run.js';

describe.each(devices().map(({ name }) => name))('sampled entries on %s', (device) => {
  it.each(fullSizeCases.map((c) => [nameOf(c), c] as const))('%s', async (_, c) => {
    const [[result]] = (await compute(c, device, ['forward'])) as [[Tensor]];
    const here = await result.to('cpu');
    const { got, expected } = sample(c, here);
    expect(compare.near(got, expected, c.dtype as Float)).toBeUndefined();
    here.dispose();
    result.dispose();
  });
});
