import { describe, expect, it } from 'vitest';
import * as latte from '../../lib/index.js';
import { run as runCli } from '../cli/run.js';
import { children } from '../support/child.js';
import { refused } from '../support/errors.js';

// On a host without CANN; vitest.config.mjs leaves this file out on the twin.

const { run } = children();

describe('deviceDiagnostics()', () => {
  it('has the reason why there is no npu', () => {
    const { npu, visibility } = latte.deviceDiagnostics();
    expect(npu.available).toBe(false);
    expect(latte.devices().map(({ name }) => name)).toEqual(['cpu']);
    expect(npu.reason.length).toBeGreaterThan(20);
    expect(Object.keys(visibility).sort()).toEqual([
      'ASCEND_RT_VISIBLE_DEVICES',
      'ASCEND_VISIBLE_DEVICES',
    ]);
  });
});

describe("device: 'npu' without one", () => {
  it.each(['npu', 'npu:0', 'npu:12'])('%s gives the reason', (device) => {
    const { reason } = latte.deviceDiagnostics().npu;
    refused(
      () => new latte.AdaLayerNormSingle({ embeddingDim: 24, device }),
      'ERR_DEVICE_UNAVAILABLE',
      device,
      reason,
    );
  });
});

describe("device: 'auto'", () => {
  it('falls back to the cpu without an npu, with one warning', async () => {
    const ended = await run('test/lifecycle/fixtures/auto-device');
    expect(ended.status).toBe(0);
    expect(JSON.parse(ended.stdout)).toEqual({
      devices: ['cpu', 'cpu', 'cpu'],
      warnings: ['LATTE_CPU_FALLBACK'],
    });
  });
});

it('the command line prints the reason, too', async () => {
  const { stdout } = await runCli(['devices']);
  expect(stdout).toContain('No npu: ');
});
