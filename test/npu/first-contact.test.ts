import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { children } from '../support/child.js';
import type { Probe, ProbeOptions } from './fixtures/probe.js';

// The first use of NPUs in a process: the chip, the variable that hides NPUs, missing kernels, other users
// of ACL, and the signal handlers that CANN installs.

const { run } = children();
const twin = process.env.ASCEND_HOME_PATH!;
const plugin = join(twin, 'lib64', 'liblatte_ascend_kernels.so');

async function probe(env: NodeJS.ProcessEnv, options: ProbeOptions = {}): Promise<Probe> {
  const ended = await run('test/npu/fixtures/probe', {
    args: [JSON.stringify(options)],
    env: { LATTE_ASCEND_FUSED_PATCH: '0', ...env },
  });
  expect(ended).toMatchObject({ status: 0, signal: null, stderr: '' });
  return JSON.parse(ended.stdout) as Probe;
}

describe('the chip', () => {
  const on = (LATTE_TWIN_SOC: string): Promise<Probe> =>
    probe({ LATTE_TWIN_SOC, LATTE_ASCEND_KERNELS: plugin }, { dtypes: ['float16', 'float32'] });

  it.each(['Ascend910B', 'Ascend910ProA'])('%s is of the first generation', async (soc) => {
    const { npu, forwards } = await on(soc);
    expect([npu.kernelsPlugin, npu.chipNote, forwards.float16]).toEqual([
      false,
      undefined,
      'works',
    ]);
    expect(forwards.float32).toMatch(/^ERR_DTYPE .*the first Ascend 910/);
  });

  it.each(['Ascend910B4-1', 'Ascend910_9362'])('%s runs the kernels', async (soc) => {
    const { npu, forwards } = await on(soc);
    expect([npu.kernelsPlugin, npu.chipNote, forwards.float32]).toEqual([true, undefined, 'works']);
  });

  it.each([
    ['Ascend910_9599', 'Ascend910_9599 is not supported yet', 'works'],
    ['Ascend950PR_9579', 'Ascend950PR_9579 is not supported yet', 'works'],
    ['Ascend310P3', 'Ascend310P3 was not tried', 'ERR_DTYPE'],
    ['Ascend1234', 'Ascend1234 was not tried', 'works'],
  ])("%s uses CANN's operators, and its note has the reason", async (soc, note, float32) => {
    const { npu, forwards, launches } = await on(soc);
    expect(npu.available).toBe(true);
    expect(npu.chipNote).toContain(note);
    expect(npu.kernelsReason).toContain(`not for ${soc}`);
    expect(forwards.float16).toBe('works');
    expect(forwards.float32).toContain(float32);
    expect(forwards.float32).not.toContain('first Ascend 910');
    expect([launches.aclnnAddmm! > 0, launches.latte_patchify]).toEqual([true, undefined]);
  });
});

describe('ASCEND_RT_VISIBLE_DEVICES', () => {
  const seen = (list: string): Promise<Probe> =>
    probe({ LATTE_TWIN_DEVICES: '4', ASCEND_RT_VISIBLE_DEVICES: list });

  it.each([
    ['2,3', ['cpu', 'npu:0', 'npu:1']],
    ['1, 2', ['cpu', 'npu:0']],
    ['0,9', ['cpu', 'npu:0']],
  ])('%j numbers its NPUs from npu:0', async (list, names) => {
    const { devices, forwards } = await seen(list);
    expect([devices, forwards.float16]).toEqual([names, 'works']);
  });

  it.each([
    ['', 'expected numbers in [0, 4)'],
    ['2,1', 'ascending order'],
    ['1,1', 'duplicated'],
  ])('%j: the reason has the code and the words of CANN', async (list, words) => {
    const { npu, devices, forwards } = await seen(list);
    expect(devices).toEqual(['cpu']);
    expect(npu.reason).toContain('aclrtGetDeviceCount failed with ACL error 207004');
    expect(npu.reason).toContain(words);
    expect(forwards.float16).toContain(words);
  });
});

describe('a toolkit without the kernel package', () => {
  it.each(['561112', '561003'])('%s: the error names the package', async (code) => {
    const { npu, forwards } = await probe({
      LATTE_TWIN_KERNEL_PACKAGE: code,
      LATTE_ASCEND_KERNELS: 'off',
    });
    expect(npu.available).toBe(true);
    expect(forwards.float16).toMatch(new RegExp(`^ERR_DEVICE ${code} aclnn\\w+`));
    expect(forwards.float16).toContain("install the package with the operators' kernels");
  });
});

describe('the count of aclInit', () => {
  let home: string;
  beforeAll(() => {
    home = mkdtempSync(join(tmpdir(), 'latte-newer-cann-'));
    mkdirSync(join(home, 'lib64'));
    symlinkSync(join(twin, 'newer', 'libacl_rt.so'), join(home, 'lib64', 'libacl_rt.so'));
    for (const name of ['libascendcl.so', 'libnnopbase.so', 'libopapi.so', 'twin_control.node']) {
      symlinkSync(join(twin, 'lib64', name), join(home, 'lib64', name));
    }
  });
  afterAll(() => rmSync(home, { recursive: true }));

  const end = async (options: ProbeOptions): Promise<string[]> => {
    const ended = await run('test/npu/fixtures/probe', {
      args: [JSON.stringify(options)],
      env: { ASCEND_HOME_PATH: home, LATTE_TWIN_COUNT: 'aclFinalizeReference' },
    });
    expect(ended.status).toBe(0);
    return ended.stderr.trim().split('\n').sort();
  };

  it('is decremented if the runtime counts: ACL ends', async () => {
    expect(await end({})).toEqual([
      'twin: 0 reference(s) to ACL are left',
      'twin: aclFinalizeReference was called 1 time(s)',
    ]);
  });

  it('is decremented if another user was first: only their reference is left', async () => {
    expect(await end({ initialised: true })).toEqual([
      'twin: 1 reference(s) to ACL are left',
      'twin: aclFinalizeReference was called 1 time(s)',
    ]);
  });
});

describe("a service's signal handlers", () => {
  it.each(['SIGTERM', 'SIGINT'])('%s: survive the opening of an NPU', async (signal) => {
    const ended = await run('test/npu/fixtures/signals', {
      args: [signal],
      env: { ASCEND_COREDUMP_SIGNAL: '' },
    });
    expect(ended).toMatchObject({ status: 0, signal: null, stderr: '' });
    const { before, after, npus, handled } = JSON.parse(ended.stdout) as Record<string, unknown>;
    expect([npus, handled]).toEqual([2, true]);
    expect(after).toBe(before);
  });
});
