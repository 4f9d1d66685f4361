import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Finding } from '../../lib/cli/doctor/finding.js';
import type { SelfTest } from '../../lib/cli/doctor/self-test.js';
import { deviceDiagnostics, type DeviceDiagnostics } from '../../lib/index.js';
import { run } from '../cli/run.js';

// The doctor on a host with simulated NPUs. Without: test/cli/doctor.test.ts.

interface Diagnosis {
  healthy: boolean;
  findings: Finding[];
  selfTest: SelfTest[];
  diagnostics: DeviceDiagnostics;
}

async function diagnose(
  env: NodeJS.ProcessEnv = {},
): Promise<Diagnosis & { status: number | null }> {
  const { status, stdout, stderr } = await run(['doctor', '--json'], env);
  expect(stderr).toBe('');
  return { status, ...(JSON.parse(stdout) as Diagnosis) };
}

describe('doctor', () => {
  it('runs every layer on every NPU and finds no failure: status 0', async () => {
    const { status, stdout, stderr } = await run(['doctor'], { LATTE_TWIN_DEVICES: '3' });
    expect(stderr).toBe('');
    expect(stdout).toMatch(/^ {2}ok {4}NPU +3 × Ascend910/m);
    for (const name of ['npu:0', 'npu:1', 'npu:2']) {
      expect(stdout).toMatch(new RegExp(`^ {2}ok {4}memory ${name} +[\\d.]+ GB free of`, 'm'));
      expect(stdout).toMatch(new RegExp(`^ {2}ok {4}self-test ${name} +15 layers agree`, 'm'));
    }
    // One table is enough.
    expect(stdout.match(/^ {2}LAYER/gm)).toHaveLength(1);
    expect(stdout).toMatch(/All layers run on npu:0, npu:1, npu:2\.\n$/);
    expect(status).toBe(0);
  });

  it('gives the largest error of each layer and dtype', async () => {
    const { status, healthy, selfTest } = await diagnose({ LATTE_TWIN_SOC: 'Ascend910B3' });
    expect([status, healthy]).toEqual([0, true]);
    expect(selfTest).toHaveLength(2 * 43);
    for (const { outcome, largestError, allowed } of selfTest) {
      expect(outcome).toBe('passed');
      expect(largestError).toBeLessThanOrEqual(allowed);
    }
    // Sums of float32 in another order than the CPU's make an error; on the CPU it would be 0.
    expect(selfTest.some(({ largestError }) => largestError! > 0)).toBe(true);
  });

  it('does not count a dtype that the chip refuses as a failure', async () => {
    const { status, findings, selfTest } = await diagnose({ LATTE_TWIN_SOC: 'Ascend910A' });
    expect(status).toBe(0);
    const outcomes = (dtype: string, outcome: string): number =>
      selfTest.filter((test) => test.dtype === dtype && test.outcome === outcome).length;
    expect(outcomes('float16', 'passed')).toBe(2 * 14);
    expect(outcomes('bfloat16', 'refused')).toBe(2 * 14);
    expect(findings.find(({ name }) => name === 'self-test npu:0')!.text).toContain(
      'does not compute in float32 or bfloat16',
    );
  });

  it('reports why the plugin is not used, which is no failure', async () => {
    const { status, findings } = await diagnose({
      ...{ LATTE_TWIN_SOC: 'Ascend910B3', LATTE_ASCEND_KERNELS: 'nowhere.so' },
    });
    expect(status).toBe(0);
    const kernels = findings.find(({ name }) => name === 'kernels')!;
    expect(kernels.state).toBe('note');
    expect(kernels.text).toContain('nowhere.so: cannot open shared object file');
  });

  it('reports that the plugin was found but its kernels do not run: status 1', async () => {
    const { status, findings, selfTest, diagnostics } = await diagnose({
      ...{ LATTE_TWIN_SOC: 'Ascend910B3', LATTE_TWIN_UNREGISTERED: '1' },
      LATTE_ASCEND_KERNEL_BINARY: 'off',
      LATTE_ASCEND_KERNELS: join(process.env.ASCEND_HOME_PATH!, 'lib64/liblatte_ascend_kernels.so'),
    });
    expect(status).toBe(1);
    expect(findings.filter(({ state }) => state === 'failure')).toMatchObject([
      { name: 'kernels', text: expect.stringMatching(/^none of its kernels run on npu:\d/) },
    ]);
    // CANN's operators compute instead.
    expect(selfTest.every(({ outcome }) => outcome === 'passed')).toBe(true);
    expect(diagnostics.npu.kernelsPlugin).toBe(false);
  });

  it('names the kernel package that the operators need: status 1', async () => {
    const { status, findings } = await diagnose({
      ...{ LATTE_TWIN_SOC: 'Ascend910B3', LATTE_TWIN_KERNEL_PACKAGE: '561112' },
      LATTE_TWIN_DEVICES: '1',
    });
    expect(status).toBe(1);
    const selfTest = findings.find(({ name }) => name === 'self-test npu:0')!;
    expect(selfTest.text).toContain('561112');
    expect(selfTest.fix).toContain('Ascend-cann-kernels-910b');
  });

  it('reports no NPU if the runtime has none: status 1', async () => {
    const { status, findings } = await diagnose({ LATTE_TWIN_DEVICES: '0' });
    expect(status).toBe(1);
    expect(findings.find(({ name }) => name === 'NPU')).toMatchObject({
      state: 'failure',
      text: expect.stringContaining('shows this process no NPU'),
    });
  });

  it('deviceDiagnostics() has the version of the interface', () => {
    expect(deviceDiagnostics().npu.aclVersion).toMatch(/^\d+\.\d+\.\d+$/);
  });
});
