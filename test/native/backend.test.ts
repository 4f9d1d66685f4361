import { describe, expect, it } from 'vitest';
import { testedDevices } from '../support/devices.js';
import { runTest, testsOf } from './programs.js';

// Tests of native/backend through the device interface itself: arguments that no layer uses.
describe.each(testedDevices)('on %s', (device) => {
  it.each(testsOf('latte_backend_test'))('%s', async (name) => {
    const printed = await runTest('latte_backend_test', name, { LATTE_TEST_DEVICE: device });
    expect(printed).toBe('1 passed\n');
  });
});
