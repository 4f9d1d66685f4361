import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Finding } from '../../lib/cli/doctor/finding.js';
import { findings, selfTestFinding } from '../../lib/cli/doctor/findings.js';
import { readHost, toolkitVersion, type HostFacts } from '../../lib/cli/doctor/host.js';
import type { SelfTest } from '../../lib/cli/doctor/self-test.js';
import type { DeviceDiagnostics, DeviceInfo } from '../../lib/index.js';
import { temporaryFolders } from './run.js';

// Tests the doctor's findings for typical hosts.

const folder = temporaryFolders();

/** A file system of these files, with their contents. */
function fileSystem(files: Record<string, string>): string {
  const root = folder();
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), text);
  }
  return root;
}

const nodes = { 'dev/davinci_manager': '', 'dev/devmm_svm': '', 'dev/hisi_hdc': '' };
const driver = {
  ...{ 'dev/davinci10': '', 'dev/davinci2': '', ...nodes },
  'etc/ascend_install.info': 'UserName=HwHiAiUser\nDriver_Install_Path_Param=/opt/Ascend\n',
  'opt/Ascend/driver/version.info': 'Version=24.1.rc3\npackage_version=24.1.rc3\n',
};

const absent: DeviceDiagnostics['npu'] = {
  ...{ available: false, reason: 'no CANN', deviceCount: 0, kernelsPlugin: false },
  libraryPath: 'libacl_rt.so',
  loaderMessage: 'libacl_rt.so: cannot open shared object file: No such file or directory',
  ...{ soc: undefined, chipNote: undefined, aclVersion: undefined },
  ...{ kernelsPluginPath: undefined, kernelsRung: undefined, kernelsReason: 'no NPU is available' },
  ...{ captures: undefined, captureReason: undefined },
};
const present: DeviceDiagnostics['npu'] = {
  ...{ available: true, reason: '', deviceCount: 1, kernelsPlugin: true },
  ...{ libraryPath: '/cann/lib64/libascendcl.so', loaderMessage: undefined },
  ...{ soc: 'Ascend910B3', chipNote: undefined, aclVersion: '1.14.0' },
  ...{ kernelsPluginPath: '/addon/kernels.so', kernelsRung: undefined, kernelsReason: undefined },
  ...{ captures: undefined, captureReason: undefined },
};
const cpu: DeviceInfo = {
  ...{ name: 'cpu', kind: 'cpu', instructionSet: 'AVX2', threads: 1 },
  memory: { free: 4e9, total: 8e9 },
};
const npu: DeviceInfo = {
  ...{ name: 'npu:0', kind: 'npu', soc: 'Ascend910B3' },
  memory: { free: 60e9, total: 64e9 },
};

function diagnose(
  host: HostFacts,
  found: Partial<DeviceDiagnostics['npu']> = absent,
  devices = [cpu],
): Finding[] {
  const all = { ...absent, ...found };
  const visibility = {
    ASCEND_RT_VISIBLE_DEVICES: host.environment.ASCEND_RT_VISIBLE_DEVICES,
    ASCEND_VISIBLE_DEVICES: host.environment.ASCEND_VISIBLE_DEVICES,
  };
  return findings(host, { npu: all, visibility }, devices);
}

const named = (list: Finding[], name: string): Finding =>
  list.find((finding) => finding.name === name)!;

describe('the host', () => {
  it("is read: nodes in the order of their numbers, the driver's folder and version", () => {
    const root = fileSystem(driver);
    expect(readHost(root, {}).driver).toEqual({
      folder: join(root, 'opt/Ascend/driver'),
      version: '24.1.rc3',
      devices: [join(root, 'dev/davinci2'), join(root, 'dev/davinci10')],
      ...{ missingNodes: [], forbiddenNodes: [] },
    });
  });

  it('lists toolkits in the order in which the addon looks', () => {
    const root = fileSystem({
      'usr/local/Ascend/cann/lib64/libacl_rt.so': '',
      'usr/local/Ascend/ascend-toolkit/latest/lib64/libascendcl.so': '',
    });
    const env = { ASCEND_HOME_PATH: '/none', ASCEND_TOOLKIT_HOME: '/none' };
    expect(readHost(root, env).toolkits).toEqual([
      { variable: 'ASCEND_HOME_PATH', folder: '/none', hasLibrary: false },
      { folder: join(root, 'usr/local/Ascend/cann'), hasLibrary: true },
      { folder: join(root, 'usr/local/Ascend/ascend-toolkit/latest'), hasLibrary: true },
    ]);
  });

  it('finds the version of the toolkit that a library belongs to', () => {
    const root = fileSystem({
      '8.1.RC1/aarch64-linux/ascend_toolkit_install.info':
        'package_name=Ascend-cann-toolkit\nversion=8.1.RC1\ninnerversion=V100\n',
      '8.1.RC1/aarch64-linux/lib64/libascendcl.so': '',
    });
    symlinkSync('aarch64-linux/lib64', join(root, '8.1.RC1/lib64'));
    symlinkSync('8.1.RC1', join(root, 'latest'));
    expect(toolkitVersion(join(root, 'latest/lib64/libascendcl.so'))).toBe('8.1.RC1');
    expect(toolkitVersion('libascendcl.so')).toBeUndefined();
  });
});

describe('findings', () => {
  it('are in the order in which to solve them', () => {
    const host = readHost(fileSystem(driver), {});
    expect(diagnose(host, present, [cpu, npu]).map(({ name }) => name)).toEqual([
      ...['driver', 'CANN', 'libraries', 'NPU', 'visibility', 'memory npu:0', 'kernels', 'CPU'],
    ]);
  });

  it('have no failure if nothing on the host needs an NPU', () => {
    const list = diagnose(readHost(folder(), {}));
    expect(list.filter(({ state }) => state === 'failure')).toEqual([]);
    expect(named(list, 'driver').state).toBe('absent');
  });

  it('have no failure if everything works', () => {
    const root = fileSystem({ ...driver, 'cann/lib64/libascendcl.so': '' });
    const host = readHost(root, { ASCEND_HOME_PATH: join(root, 'cann') });
    const list = diagnose(host, present, [cpu, npu]);
    expect(list.filter(({ state }) => state !== 'ok')).toEqual([]);
  });

  it.each([
    ['no device nodes', { 'usr/local/Ascend/driver/version.info': '' }, /no \/dev\/davinci/],
    ['nodes missing', { ...driver, 'dev/hisi_hdc': undefined }, /missing: .*hisi_hdc/],
  ])('driver: %s', (_, files, text) => {
    const present = Object.entries(files).filter(([, content]) => content !== undefined);
    const root = fileSystem(Object.fromEntries(present) as Record<string, string>);
    const finding = named(diagnose(readHost(root, {})), 'driver');
    expect(finding.state).toBe('failure');
    expect(finding.text).toMatch(text);
    expect(finding.fix).toContain('ontainer');
  });

  it('driver: nodes that this user may not open', () => {
    const host = readHost(fileSystem(driver), {});
    host.driver.forbiddenNodes = ['/dev/davinci2'];
    expect(named(diagnose(host), 'driver')).toMatchObject({
      state: 'failure',
      text: expect.stringContaining('may not open /dev/davinci2'),
      fix: expect.stringContaining('group'),
    });
  });

  it('CANN: a variable that names no toolkit is reported, and the libraries are not reported again', () => {
    const list = diagnose(readHost(folder(), { ASCEND_HOME_PATH: '/none' }));
    expect(named(list, 'CANN')).toMatchObject({
      state: 'failure',
      text: expect.stringContaining('/none (ASCEND_HOME_PATH)'),
    });
    expect(named(list, 'libraries').state).toBe('absent');
  });

  it.each([
    ['libascend_hal.so: cannot open shared object file', /driver.*LD_LIBRARY_PATH/],
    ['/cann/lib64/libascendcl.so: cannot open shared object file', /set_env\.sh/],
    ['/cann/lib64/libascendcl.so: wrong ELF class: ELFCLASS32', /no library for/],
    ['the library lacks aclrtMalloc', /two versions/],
  ])('libraries: %s', (loaderMessage, fix) => {
    const root = fileSystem({ 'cann/lib64/libascendcl.so': '' });
    const host = readHost(root, { ASCEND_HOME_PATH: join(root, 'cann') });
    const finding = named(diagnose(host, { loaderMessage }), 'libraries');
    expect([finding.state, finding.text]).toEqual(['failure', loaderMessage]);
    expect(finding.fix).toMatch(fix);
  });

  it("NPU: the runtime's message, if its libraries open and it does not work", () => {
    const reason = 'CANN was found, but does not work: aclrtGetDeviceCount failed … 507033';
    const found = { reason, loaderMessage: undefined, aclVersion: '1.14.0' };
    const list = diagnose(readHost(folder(), {}), found);
    expect(named(list, 'libraries').state).toBe('ok');
    expect(named(list, 'NPU')).toMatchObject({ state: 'failure', text: reason });
  });

  it('NPU: a chip that was not tried gets a note', () => {
    const chipNote = "Ascend310P3 was not tried: layers use CANN's operators, in float16 alone";
    const list = diagnose(readHost(folder(), {}), { ...present, soc: 'Ascend310P3', chipNote });
    expect(named(list, 'NPU')).toMatchObject({
      state: 'note',
      text: `1 × Ascend310P3: ${chipNote}`,
    });
  });

  describe('operators', () => {
    const kernels = (...chips: string[]): Finding | undefined => {
      const config = 'cann/opp/built-in/op_impl/ai_core/tbe/kernel/config';
      const lists = chips.map((chip) => [`${config}/${chip}/binary_info_config.json`, ''] as const);
      const root = fileSystem({
        ...{ 'cann/lib64/libascendcl.so': '', 'cann/opp/version.info': '' },
        ...Object.fromEntries(lists),
      });
      const host = readHost(root, { ASCEND_HOME_PATH: join(root, 'cann') });
      return named(diagnose(host, present, [cpu, npu]), 'operators');
    };

    it('with kernels for the chip are right', () => {
      expect(kernels('ascend910', 'ascend910b')!.state).toBe('ok');
    });

    it.each([
      ['no kernels', [], 'installed: none'],
      ["another chip's kernels", ['ascend910'], 'installed: ascend910'],
    ])('with %s: the package to install is named', (_, chips, text) => {
      const finding = kernels(...chips)!;
      expect(finding.state).toBe('failure');
      expect(finding.text).toContain('no kernels for ascend910b');
      expect(finding.text).toContain(text);
      expect(finding.fix).toContain('Ascend-cann-kernels-910b');
    });
  });

  it('memory: a device that did not open, and one that others fill', () => {
    const host = readHost(folder(), {});
    const lost = { ...npu, memory: undefined };
    const full = { ...npu, name: 'npu:1', memory: { free: 2e8, total: 64e9 } };
    const list = diagnose(host, present, [cpu, lost, full]);
    expect(named(list, 'memory npu:0').state).toBe('failure');
    expect(named(list, 'memory npu:1').state).toBe('note');
  });

  it('kernels: why the plugin is not used', () => {
    const found = { ...present, kernelsPlugin: false, kernelsReason: 'it is of version 9' };
    const finding = named(diagnose(readHost(folder(), {}), found, [cpu, npu]), 'kernels');
    expect(finding.state).toBe('note');
    expect(finding.text).toContain('it is of version 9');
    expect(finding.text).toContain('scripts/build-ascend-kernels.sh');
  });

  it('switches: those that have an effect, and those with a wrong name or value', () => {
    const env = {
      ...{ LATTE_ASCEND_SYNC: '1', LATTE_ASCEND_FUSED_PATCH: 'false' },
      LATTE_ASCEND_KERNEL_BINARY: 'off',
    };
    const list = diagnose(readHost(folder(), env)).filter(({ name }) => name === 'switches');
    expect(list.map(({ text }) => text)).toEqual([
      expect.stringContaining('waited for'),
      expect.stringContaining('LATTE_ASCEND_FUSED_PATCH=false is ignored: only 0 has an effect'),
      expect.stringContaining("launched by the plugin's functions"),
    ]);
  });
});

describe('visibility variables', () => {
  const check = (
    ASCEND_RT_VISIBLE_DEVICES: string | undefined,
    ASCEND_VISIBLE_DEVICES?: string,
    found: Partial<DeviceDiagnostics['npu']> = absent,
  ): Finding[] =>
    diagnose(
      readHost(folder(), { ASCEND_RT_VISIBLE_DEVICES, ASCEND_VISIBLE_DEVICES }),
      found,
    ).filter(({ name }) => name === 'visibility');

  it.each([
    ['0', undefined],
    ['0,1', '4,5'],
    ['0,3', '0-3'],
    [undefined, '4'],
    ['0', 'Ascend910-4'],
  ])('%s beside %s are right', (runtime, container) => {
    expect(check(runtime, container).map(({ state }) => state)).not.toContain('failure');
  });

  it.each([
    ['0, 1', undefined, 'after a space', 'ASCEND_RT_VISIBLE_DEVICES=0,1'],
    ['0', '4, 5', 'after a space', 'ASCEND_VISIBLE_DEVICES=4,5'],
    ['', undefined, 'hides NPUs', 'Unset'],
    ['npu0', undefined, 'not a list of numbers', '0,1'],
    ['1,0', undefined, 'ACL error 207004', 'ASCEND_RT_VISIBLE_DEVICES=0,1'],
    ['0,1,1', undefined, 'each once', 'ASCEND_RT_VISIBLE_DEVICES=0,1'],
    ['4', '4', 'shows 1 NPU,', 'ASCEND_RT_VISIBLE_DEVICES=0'],
    ['4,5', '4-5', 'asks for number 4, 5: ACL error 507033', 'ASCEND_RT_VISIBLE_DEVICES=0,1'],
  ])('%s beside %s: %s', (runtime, container, text, fix) => {
    const [failure] = check(runtime, container).filter(({ state }) => state === 'failure');
    expect(failure!.text).toContain(text);
    expect(failure!.fix).toContain(fix);
  });

  it('a pair that does not fit is no failure if NPUs work', () => {
    const states = check('4', '4', present).map(({ state }) => state);
    expect(states).toEqual(['ok', 'ok', 'note']);
  });
});

describe('the self-test', () => {
  const test = (
    outcome: SelfTest['outcome'],
    dtype: SelfTest['dtype'],
    error?: string,
  ): SelfTest => ({
    ...{ device: 'npu:0', layer: 'PatchEmbed', allowed: 1e-5 },
    ...{ outcome, dtype, error, largestError: outcome === 'failed' ? 0.25 : 1e-6 },
  });

  it.each([
    ['all right', [test('passed', 'float32')], 'ok', 'agree with the CPU'],
    [
      'a dtype that the chip refuses',
      [test('refused', 'float32'), test('passed', 'float16')],
      'ok',
      'does not compute in float32',
    ],
    ['wrong numbers', [test('failed', 'float32')], 'failure', 'differs from the CPU by 0.25'],
    ['an error', [test('failed', 'float16', 'aivec error')], 'failure', 'aivec error'],
    ['nothing that runs', [test('refused', 'float16', 'no')], 'failure', 'no layer ran'],
  ] as const)('%s', (_, tests, state, text) => {
    const finding = selfTestFinding('npu:0', tests);
    expect(finding.state).toBe(state);
    expect(finding.text).toContain(text);
  });

  it('kernels of operators that are not installed: the package to install is named', () => {
    const error = 'aclnnAddmmGetWorkspaceSize failed with ACL error 561112: Op Addmm';
    const finding = selfTestFinding('npu:0', [test('failed', 'float16', error)]);
    expect(finding.fix).toContain('Ascend-cann-kernels-910b');
  });
});
