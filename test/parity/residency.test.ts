import { describe, it } from 'vitest';
import { testedDevices } from '../support/devices.js';
import { onTwin } from '../support/twin.js';
import { manyTimesteps, placesOf, residencyCases } from './residency.js';
import { check, nameOf } from './run.js';

// On the host parity.test.ts tests the same rows.

const devices = onTwin ? ['cpu', ...testedDevices] : testedDevices;

describe.each(devices)('on %s', (device) => {
  describe.each(Object.entries(placesOf(device)))('with inputs in %s', (_, place) => {
    describe.each(residencyCases.map((c) => [nameOf(c), c] as const))('%s', (_, c) => {
      const names = Object.keys(c.inputs!);
      const sets = names.length === 1 ? [names] : [...names.map((name) => [name]), names];
      it.each(sets.map((moved) => [moved.join(', '), moved] as const))('%s', async (_, moved) => {
        await check(c, device, undefined, (name, tensor) =>
          moved.includes(name) ? place(tensor) : tensor,
        );
      });
    });
  });

  it(nameOf(manyTimesteps), () => check(manyTimesteps, device, ['forward']));
});
