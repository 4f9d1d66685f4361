import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { children } from '../support/child.js';

// Kernels that exist but do not work. The device tries them when it opens, and then uses the first way that
// computes right. In each case forwards agree with the CPU.

const { run } = children();

interface Report {
  error: number;
  kernelsPlugin: boolean;
  kernelsRung: string;
  kernelsReason?: string;
  launches: string[];
  /** The number of their launches, and of allocations of device memory during these. */
  launched: number;
  allocations: number;
}

async function open(env: NodeJS.ProcessEnv): Promise<Report> {
  const ended = await run('test/npu/fixtures/unregistered-kernels', {
    // Replaces the settings that this run of the suite has.
    env: {
      LATTE_TWIN_SOC: 'Ascend910B3',
      LATTE_ASCEND_KERNELS: join(
        process.env.ASCEND_HOME_PATH!,
        'lib64',
        'liblatte_ascend_kernels.so',
      ),
      LATTE_ASCEND_KERNEL_BINARY: '',
      LATTE_ASCEND_FUSED_PATCH: '',
      ...env,
    },
  });
  expect(ended).toMatchObject({ status: 0, stderr: '' });
  const report = JSON.parse(ended.stdout) as Report;
  expect(report.error).toBeLessThan(1e-4);
  return report;
}

const all = ['latte_patch_projection', 'latte_timestep_projection'];
const withoutFused = ['latte_patchify', 'latte_timestep_projection'];

describe('the ladder', () => {
  it.each<[string, NodeJS.ProcessEnv, string, RegExp | undefined, string[]]>([
    ['kernels that serve', {}, 'fused (device binary)', undefined, all],
    [
      'without the device binary',
      { LATTE_ASCEND_KERNEL_BINARY: 'off' },
      'fused (launch functions)',
      undefined,
      all,
    ],
    [
      'a device binary that is none',
      { LATTE_ASCEND_KERNEL_BINARY: __filename },
      'fused (launch functions)',
      /not all of its kernels run on npu:0 \(Ascend910B3\): the device binary: aclrtBinaryLoadFromFile failed/,
      all,
    ],
    [
      'a device binary whose kernel fails',
      { LATTE_TWIN_KERNEL_FAULT: 'latte_patchify:fail:binary' },
      'fused (launch functions)',
      /the device binary: .* 507035/,
      all,
    ],
    [
      'launch functions that launch nothing, as those of another chip',
      { LATTE_TWIN_UNREGISTERED: '1', LATTE_ASCEND_KERNEL_BINARY: 'off' },
      'operations',
      /^none of its kernels run on .*: the plugin's launch functions: timestep_projection in float32 is wrong$/,
      [],
    ],
    [
      'a fused projection that is switched off',
      { LATTE_ASCEND_FUSED_PATCH: '0' },
      'kernels (device binary)',
      /the fused projection: switched off by LATTE_ASCEND_FUSED_PATCH=0$/,
      withoutFused,
    ],
    [
      'a fused projection that hangs',
      { LATTE_TWIN_KERNEL_FAULT: 'latte_patch_projection:hang', LATTE_ASCEND_TRIAL_MS: '500' },
      'kernels (device binary)',
      /the fused projection: did not end within 500 ms$/,
      withoutFused,
    ],
    [
      'a fused projection that fails',
      { LATTE_TWIN_KERNEL_FAULT: 'latte_patch_projection:fail' },
      'kernels (device binary)',
      /the fused projection: .* 507015/,
      withoutFused,
    ],
    [
      'a fused projection that differs',
      { LATTE_TWIN_KERNEL_FAULT: 'latte_patch_projection:differ' },
      'kernels (device binary)',
      /the fused projection: patch_projection in float32 is wrong$/,
      withoutFused,
    ],
  ])('%s', async (_, env, rung, reason, launches) => {
    const report = await open(env);
    expect(report.kernelsRung).toBe(rung);
    if (reason === undefined) expect(report.kernelsReason).toBeUndefined();
    else expect(report.kernelsReason).toMatch(reason);
    expect(report.kernelsPlugin).toBe(launches.length > 0);
    expect(report.launches).toEqual(launches);
    expect(report.launched).toBe(launches.length);
    // CANN's generated launch functions allocate at each launch; the device binary does not.
    const generated = rung.includes('launch functions');
    expect(report.allocations).toBe(generated ? report.launched : 0);
  });
});
