import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { Tensor } from '../../lib/index.js';
import { children } from '../support/child.js';
import { refused } from '../support/errors.js';
import { twin } from '../support/twin.js';
import type { Probe, ProbeOptions } from './fixtures/probe.js';

// Complete and broken installations of CANN and of the kernels plugin.

const { run } = children();
const lib = join(process.env.ASCEND_HOME_PATH!, 'lib64');
const plugin = join(lib, 'liblatte_ascend_kernels.so');

async function probe(options: ProbeOptions = {}, env: NodeJS.ProcessEnv = {}): Promise<Probe> {
  const ended = await run('test/npu/fixtures/probe', {
    args: [JSON.stringify(options)],
    // The operations named below are those of the usual settings, whatever this run's settings are.
    env: { LATTE_ASCEND_FUSED_PATCH: '0', ...env },
  });
  expect(ended).toMatchObject({ status: 0, signal: null, stderr: '' });
  return JSON.parse(ended.stdout) as Probe;
}

describe('the kernels plugin', () => {
  const kernels = (LATTE_ASCEND_KERNELS: string): NodeJS.ProcessEnv => ({ LATTE_ASCEND_KERNELS });

  it('is used if it is installed', async () => {
    const { npu, forwards, launches } = await probe({}, kernels(plugin));
    expect(npu).toMatchObject({ kernelsPlugin: true, kernelsPluginPath: plugin });
    // When it is opened, the device tries the kernel in three dtypes.
    expect([forwards.float16, launches.latte_patchify]).toEqual(['works', 3 + 1]);
  });

  it.each([
    ['switched off', 'off', 'switched off by LATTE_ASCEND_KERNELS=off'],
    ['that is not there', 'nowhere-plugin.so', 'nowhere-plugin.so: cannot open shared object file'],
    ['that is something else', join(lib, 'libascendcl.so'), "not a plugin with latte's kernels"],
    [
      'of another version',
      join(lib, 'liblatte_kernels_of_another_version.so'),
      'it has version 1000 of the kernels',
    ],
  ])('%s: the reason is said, and aclnn serves', async (_, path, reason) => {
    const { npu, forwards, launches } = await probe({}, kernels(path));
    expect([npu.available, npu.kernelsPlugin]).toEqual([true, false]);
    expect(npu.kernelsReason).toContain(reason);
    expect([forwards.float16, launches.latte_patchify]).toEqual(['works', undefined]);
    expect(launches.aclnnAddmm).toBe(1);
  });
});

describe('an incomplete installation', () => {
  const folders: string[] = [];
  afterAll(() => {
    for (const folder of folders) rmSync(folder, { recursive: true });
  });

  /** An ASCEND_HOME_PATH with links to some of the libraries; 'a=b' is library b under the name a. */
  function home(...names: string[]): string {
    const folder = mkdtempSync(join(tmpdir(), 'latte-cann-'));
    folders.push(folder);
    mkdirSync(join(folder, 'lib64'));
    for (const name of names) {
      const [as, of = as] = name.split('=') as [string, string?];
      if (of === 'garbage') writeFileSync(join(folder, 'lib64', as), 'no library');
      else symlinkSync(join(lib, of), join(folder, 'lib64', as));
    }
    return folder;
  }

  it.each([
    ['nothing', [], 'libascendcl.so', /cannot open shared object file.*nor libacl_rt\.so/],
    [
      'no library of operators',
      ['libascendcl.so', 'libnnopbase.so'],
      'libopapi.so',
      /libopapi\.so: cannot open.*nor libopapi_math\.so/,
    ],
    ['only the runtime', ['libascendcl.so'], 'libnnopbase.so', /cannot open/],
    [
      'a file that is no library',
      ['libacl_rt.so=garbage'],
      'libacl_rt.so',
      /file too short|invalid ELF/,
    ],
    [
      'operators of another release',
      ['libascendcl.so', 'libnnopbase.so', 'libopapi.so=libnnopbase.so'],
      'libopapi',
      /libopapi\.so: the library lacks aclnn/,
    ],
    [
      'half of the split operators',
      ['libascendcl.so', 'libnnopbase.so', 'libopapi_math.so=libopapi.so'],
      'libopapi_nn.so',
      /libopapi_nn\.so: cannot open/,
    ],
    [
      'a runtime that is something else',
      ['libascendcl.so=liblatte_kernels_of_another_version.so'],
      'libascendcl.so',
      /libascendcl\.so: the library lacks acl/,
    ],
  ])('%s: no NPU, the loader is quoted, the cpu works', async (_, names, library, message) => {
    const env = { ASCEND_HOME_PATH: home(...names) };
    const { npu, devices, forwards } = await probe({}, env);
    expect([npu.available, devices]).toEqual([false, ['cpu']]);
    expect(npu.libraryPath).toContain(library);
    expect(npu.loaderMessage).toMatch(message);
    expect(npu.reason).toContain(npu.loaderMessage);
    expect(npu.reason).toContain('set_env.sh');
    expect(forwards.float16).toContain('ERR_DEVICE_UNAVAILABLE');
    expect(forwards.float16).toContain(npu.reason);
  });

  it('the split libraries of newer releases come first, and the old one serves without them', async () => {
    const split = home(
      'libacl_rt.so=libascendcl.so',
      'libnnopbase.so',
      'libopapi_math.so=libopapi.so',
      'libopapi_nn.so=libopapi.so',
      'twin_control.node',
    );
    const { npu, forwards } = await probe({}, { ASCEND_HOME_PATH: split });
    expect(npu.libraryPath).toBe(join(split, 'lib64', 'libacl_rt.so'));
    expect(forwards.float16).toBe('works');
    const half = home(
      'libascendcl.so',
      'libnnopbase.so',
      'libopapi_math.so=libopapi.so',
      'libopapi.so',
    );
    expect((await probe({}, { ASCEND_HOME_PATH: half })).forwards.float16).toBe('works');
  });
});

describe('an older runtime', () => {
  const optional = [
    'aclFinalizeReference',
    'aclrtSetStreamFailureMode',
    'aclrtDestroyStreamForce',
    'aclrtSynchronizeStreamWithTimeout',
    'aclmdlRICaptureBegin',
    'aclmdlRIDestroy',
    'aclrtBinaryLoadFromFile',
    'aclrtLaunchKernelWithConfig',
  ];

  /** A copy of the libraries in which these functions are renamed, so that the addon does not find them. */
  function homeWithout(functions: readonly string[]): string {
    const folder = mkdtempSync(join(tmpdir(), 'latte-cann-'));
    cpSync(lib, join(folder, 'lib64'), { recursive: true });
    const file = join(folder, 'lib64', 'libascendcl.so');
    let text = readFileSync(file, 'latin1');
    for (const name of functions) {
      text = text.replaceAll(`\0${name}\0`, `\0${name.slice(0, -1)}_\0`);
    }
    writeFileSync(file, text, 'latin1');
    return folder;
  }

  it.each([...optional.map((name) => [name]), optional].map((names) => ({ names })))(
    'without $names computes all the same',
    async ({ names }) => {
      const folder = homeWithout(names);
      const { npuAfterwards, forwards } = await probe({}, { ASCEND_HOME_PATH: folder });
      rmSync(folder, { recursive: true });
      expect(forwards.float16).toBe('works');
      // Without the functions that launch a kernel of a binary, each launch allocates.
      const captures = !names.some((name) => /^aclmdlRI|Binary|LaunchKernel/.test(name));
      expect(npuAfterwards.captures).toBe(captures);
      if (!captures) {
        expect(npuAfterwards.captureReason).toMatch(/not all functions for it|allocate/);
      }
    },
  );
});

describe('a runtime that does not work', () => {
  it.each([
    ['aclInit', 507899],
    ['aclrtGetDeviceCount', 507033],
    ['aclrtGetVersion', 507000],
  ])('%s fails with %i: no NPU, and the reason has both', async (call, code) => {
    const { npu, devices } = await probe({ fault: { call, nth: 1, code } });
    expect([npu.available, devices]).toEqual([false, ['cpu']]);
    expect(npu.reason).toContain(`CANN was found, but does not work: ${call}`);
    expect(npu.reason).toContain(String(code));
  });

  it('has no NPU', async () => {
    const { npu } = await probe({}, { LATTE_TWIN_DEVICES: '0' });
    expect(npu).toMatchObject({ available: false, deviceCount: 0 });
    expect(npu.reason).toContain('shows this process no NPU');
  });

  it('has as many as there are', async () => {
    const { devices } = await probe({}, { LATTE_TWIN_DEVICES: '3' });
    expect(devices).toEqual(['cpu', 'npu:0', 'npu:1', 'npu:2']);
  });

  it.each([
    'aclrtSetDevice',
    'aclrtCreateContext',
    'aclrtSetCurrentContext',
    'aclrtCreateStream',
    'aclGetDeviceCapability',
    'aclrtGetMemInfo',
  ])('%s fails as a device is opened: it says so, and opens the next time', (call) => {
    twin().inject({ call, nth: 1, code: 507000 });
    // This line opens the device for the first time, or fails to.
    const zeros = (): Tensor => Tensor.zeros([1], { device: 'npu:1' });
    refused(zeros, 'ERR_DEVICE_UNAVAILABLE', 'npu:1', call, '507000');
    expect(twin().clearFaults()).toBe(0);
  });

  it('after all of that it opens', () => {
    expect(Tensor.zeros([1], { device: 'npu:1' }).device).toBe('npu:1');
  });
});

describe('the first Ascend 910', () => {
  const env = { LATTE_TWIN_SOC: 'Ascend910A' };

  it('computes in float16 alone, without the plugin', async () => {
    const dtypes = ['float16', 'float32', 'bfloat16'] as const;
    const { npu, forwards, launches } = await probe({ dtypes: [...dtypes] }, env);
    expect(npu).toMatchObject({ available: true, soc: 'Ascend910A', kernelsPlugin: false });
    expect(npu.kernelsReason).toContain('910B');
    expect([forwards.float16, launches.aclnnAddmm]).toEqual(['works', 1]);
    for (const dtype of ['float32', 'bfloat16'] as const) {
      expect(forwards[dtype]).toMatch(/^ERR_DTYPE .*npu:0.*Ascend910A.*float16/);
      expect(forwards[dtype]).toContain(dtype);
    }
  });

  it.each(['Ascend910ProB', 'Ascend910PremiumA'])('is %s, too', async (soc) => {
    const { forwards } = await probe({ dtypes: ['float32'] }, { LATTE_TWIN_SOC: soc });
    expect(forwards.float32).toContain('ERR_DTYPE');
  });

  it.each(['Ascend910B1', 'Ascend910B4', 'Ascend910_9391'])('is not %s', async (soc) => {
    const { npu, forwards } = await probe(
      { dtypes: ['bfloat16'] },
      { LATTE_TWIN_SOC: soc, LATTE_ASCEND_KERNELS: plugin },
    );
    expect([npu.kernelsPlugin, forwards.bfloat16]).toEqual([true, 'works']);
  });
});

describe('LATTE_ASCEND_SYNC', () => {
  const laterFault = { call: 'aclnnAddmm', nth: 1, code: 507015, async: true };

  it('off: an asynchronous failure is reported when the stream is synchronised', async () => {
    const { forwards } = await probe({ laterFault });
    expect(forwards.float16).toMatch(/^ERR_DEVICE 507015 aclrt(Synchronize|QueryEvent)/);
  });

  it('1: it is reported at the operation that failed', async () => {
    const { forwards } = await probe({ laterFault }, { LATTE_ASCEND_SYNC: '1' });
    expect(forwards.float16).toMatch(/^ERR_DEVICE 507015 aclnnAddmm/);
  });
});

describe('the end of ACL', () => {
  const calls = async (options: ProbeOptions): Promise<string> => {
    const args = [JSON.stringify(options)];
    const env = { LATTE_TWIN_COUNT: 'aclFinalize' };
    const ended = await run('test/npu/fixtures/probe', { args, env });
    expect(ended.status).toBe(0);
    return ended.stderr;
  };

  it('happens once, when nothing of ours is left', async () => {
    expect(await calls({})).toBe('twin: aclFinalize was called 1 time(s)\n');
  });

  it('is left to another user that initialised ACL first', async () => {
    expect(await calls({ initialised: true })).toBe('twin: aclFinalize was called 0 time(s)\n');
  });
});
