import { describe, expect, it } from 'vitest';
import { testedDevices } from '../support/devices.js';
import { runTest, testsOf } from './programs.js';

// native/backend, by the device interface itself: what no layer reaches.
describe.each(testedDevices)('on %s', (device) => {
  it.each(testsOf('latte_backend_test'))('%s', async (name) => {
    const printed = await runTest('latte_backend_test', name, { LATTE_TEST_DEVICE: device });
    expect(printed).toBe('1 passed\n');
  });
});
