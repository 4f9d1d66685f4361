import type { DeviceDiagnostics, DeviceInfo } from '../../index.js';
import { formatBytes } from '../format.js';
import type { Finding } from './finding.js';
import { toolkitVersion, type HostFacts } from './host.js';
import { dtypes, type SelfTest } from './self-test.js';
import { checkVisibility } from './visibility.js';

const guide = 'docs/ascend.md';

/** Whether this machine or container has a sign of an NPU: a driver, a toolkit or a variable. */
export function expectsNpu({ driver, toolkits, environment }: HostFacts): boolean {
  return (
    driver.devices.length > 0 ||
    driver.folder !== undefined ||
    toolkits.length > 0 ||
    environment.ASCEND_RT_VISIBLE_DEVICES !== undefined ||
    environment.ASCEND_VISIBLE_DEVICES !== undefined
  );
}

/**
 * All findings except those of the self-tests, in the order in which problems are best solved.
 * @param notOpened device name → why it did not open.
 */
export function findings(
  host: HostFacts,
  { npu }: DeviceDiagnostics,
  devices: readonly DeviceInfo[],
  notOpened: ReadonlyMap<string, string> = new Map(),
): Finding[] {
  const expected = expectsNpu(host);
  const list = [
    checkDriver(host, npu.available, expected),
    checkToolkit(host, npu, expected),
    checkLibraries(host, npu, expected),
    checkChip(npu),
    checkOperators(host, npu),
    ...checkVisibility(host.environment, npu.available),
    ...devices.filter(({ kind }) => kind === 'npu').map((device) => checkMemory(device, notOpened)),
    checkKernels(npu),
    ...checkSwitches(host.environment),
    checkCpu(devices),
  ];
  return list.filter((finding) => finding !== undefined);
}

type Npu = DeviceDiagnostics['npu'];

function checkDriver({ driver }: HostFacts, available: boolean, expected: boolean): Finding {
  const name = 'driver';
  const { devices, folder, version, missingNodes, forbiddenNodes } = driver;
  if (devices.length === 0) {
    if (available) {
      return {
        ...{ name, state: 'note' },
        text: 'no /dev/davinci*, and yet CANN shows NPUs: is this a simulated installation?',
      };
    }
    if (!expected) return { name, state: 'absent', text: 'no /dev/davinci*, no driver' };
    const text = `no /dev/davinci*${folder === undefined ? '' : `, although the driver is in ${folder}`}`;
    const fix =
      'On the host: install the driver and look at npu-smi info. In a container: start it with ' +
      `the device nodes (${guide}, "Containers").`;
    return { name, state: 'failure', text, fix };
  }
  const found = `${version ?? 'unknown version'}; ${devices.join(', ')}`;
  if (missingNodes.length > 0) {
    return {
      ...{ name, state: 'failure' },
      text: `${found}; missing: ${missingNodes.join(', ')}`,
      fix: `Start the container with these nodes, too (${guide}, "Containers").`,
    };
  }
  if (forbiddenNodes.length > 0) {
    return {
      ...{ name, state: 'failure' },
      text: `${found}; this user may not open ${forbiddenNodes.join(', ')}`,
      fix: 'Add the user to the group that owns them (ls -l shows it, HwHiAiUser in most cases) and log in again.',
    };
  }
  return { name, state: 'ok', text: found };
}

function checkToolkit({ toolkits }: HostFacts, npu: Npu, expected: boolean): Finding {
  const name = 'CANN';
  const describe = ({ variable, folder }: (typeof toolkits)[number]): string =>
    variable === undefined ? folder : `${folder} (${variable})`;
  const good = toolkits.find(({ hasLibrary }) => hasLibrary);
  if (good !== undefined) {
    const version = npu.libraryPath === undefined ? undefined : toolkitVersion(npu.libraryPath);
    return { name, state: 'ok', text: `${version ?? 'unknown version'} in ${describe(good)}` };
  }
  const bad = toolkits[0];
  if (bad !== undefined) {
    return {
      ...{ name, state: 'failure' },
      text: `no libascendcl.so or libacl_rt.so in lib64 of ${describe(bad)}`,
      fix: "Let the variable name the toolkit's folder: source its set_env.sh.",
    };
  }
  if (npu.available || npu.aclVersion !== undefined) {
    return { name, state: 'ok', text: 'no variable names it; the loader found it' };
  }
  const text =
    'neither ASCEND_HOME_PATH nor /usr/local/Ascend/cann nor /usr/local/Ascend/ascend-toolkit/latest';
  if (!expected) return { name, state: 'absent', text };
  return {
    ...{ name, state: 'failure', text },
    fix: 'Install the CANN toolkit and the kernels package for the chip, then source set_env.sh.',
  };
}

function checkLibraries(
  { toolkits, environment }: HostFacts,
  npu: Npu,
  expected: boolean,
): Finding {
  const name = 'libraries';
  if (npu.aclVersion !== undefined) {
    return {
      ...{ name, state: 'ok' },
      text: `${npu.libraryPath ?? ''}, ACL ${npu.aclVersion}`,
    };
  }
  const message = npu.loaderMessage ?? npu.reason;
  if (npu.loaderMessage === undefined && npu.libraryPath !== undefined) {
    // The libraries could be opened; a later step failed, which another finding describes.
    return { name, state: 'ok', text: npu.libraryPath };
  }
  const installed = toolkits.some(({ hasLibrary }) => hasLibrary);
  // If no toolkit is installed, checkToolkit already reported that.
  if (!expected || (!installed && /lib(acl_rt|ascendcl)\.so: cannot open/.test(message))) {
    return { name, state: 'absent', text: message };
  }
  return {
    ...{ name, state: 'failure', text: message },
    fix: libraryFix(message, installed, environment.LD_LIBRARY_PATH),
  };
}

function libraryFix(message: string, hasToolkit: boolean, searched = ''): string {
  if (/libascend_hal|libdrv|libdcmi|libc_sec|libmmpa/.test(message)) {
    return (
      "The driver's libraries are not found: put /usr/local/Ascend/driver/lib64 and its folders " +
      'common and driver on LD_LIBRARY_PATH (in a container mount them, too) before Node starts.'
    );
  }
  if (/wrong ELF class|invalid ELF header|file too short|cannot open .* machine/.test(message)) {
    return `This file is no library for ${process.arch}: install the toolkit for this machine.`;
  }
  if (/the library lacks|undefined symbol|version `/.test(message)) {
    return `Libraries of two versions are mixed, or this version is not supported (${guide}).`;
  }
  const sourced = hasToolkit && !/ascend/i.test(searched);
  return sourced
    ? 'LD_LIBRARY_PATH has nothing of Ascend: source set_env.sh before Node starts.'
    : "Source the toolkit's set_env.sh before Node starts: the loader reads it once.";
}

function checkChip(npu: Npu): Finding {
  const name = 'NPU';
  if (npu.available) {
    const { soc = 'unknown chip', deviceCount, chipNote } = npu;
    const text = `${deviceCount} × ${soc}`;
    if (chipNote !== undefined) return { name, state: 'note', text: `${text}: ${chipNote}` };
    const old = shortName(soc) === 'ascend910';
    return {
      ...{ name, state: 'ok' },
      text: `${text}${old ? ': the first 910, layers in float16 alone' : ''}`,
    };
  }
  if (npu.aclVersion === undefined && npu.loaderMessage !== undefined) {
    return { name, state: 'absent', text: 'cannot be asked for without the libraries' };
  }
  return {
    ...{ name, state: 'failure', text: npu.reason },
    fix: `See the visibility variables below, and the table of codes in ${guide}, "When something fails".`,
  };
}

/** The name of a family of chips in CANN's folders ('ascend910b'); undefined for an unknown chip. */
function shortName(soc: string): string | undefined {
  if (/^Ascend910B\d/.test(soc)) return 'ascend910b';
  if (/^Ascend910_93\d/.test(soc)) return 'ascend910_93';
  if (/^Ascend910(A|ProA|PremiumA|B|ProB)$/.test(soc)) return 'ascend910';
  return /^Ascend310P\d/.test(soc) ? 'ascend310p' : undefined;
}

const installKernels =
  "Install the package with the operators' kernels for this chip, of the toolkit's version: " +
  'Ascend-cann-kernels-910b for a 910B, cann-910b-ops in newer releases ' +
  `(${guide}, "When something fails").`;

/** Whether kernels of CANN's operators are installed for the chip. Without them each operator fails. */
function checkOperators({ operators }: HostFacts, { soc }: Npu): Finding | undefined {
  const name = 'operators';
  const short = soc === undefined ? undefined : shortName(soc);
  if (operators === undefined || short === undefined) return undefined;
  const { folder, kernels } = operators;
  if (kernels.includes(short))
    return { name, state: 'ok', text: `kernels for ${short} in ${folder}` };
  const others = kernels.length === 0 ? 'none' : kernels.join(', ');
  const text = `no kernels for ${short} in ${folder} (installed: ${others})`;
  return { name, state: 'failure', text, fix: installKernels };
}

function checkMemory(
  { name, memory }: DeviceInfo,
  notOpened: ReadonlyMap<string, string>,
): Finding {
  const label = `memory ${name}`;
  if (memory === undefined) {
    return {
      ...{ name: label, state: 'failure' },
      text: notOpened.get(name) ?? 'unknown, because the device is not open',
      fix: 'Look at npu-smi info: is it healthy, and does another process hold it?',
    };
  }
  const text = `${formatBytes(memory.free)} free of ${formatBytes(memory.total)}`;
  const scarce = memory.free < 1e9 && memory.free < memory.total / 2;
  if (!scarce) return { name: label, state: 'ok', text };
  return { name: label, state: 'note', text: `${text}: others hold the rest` };
}

function checkKernels(npu: Npu): Finding | undefined {
  const name = 'kernels';
  if (!npu.available) return undefined;
  if (npu.kernelsPlugin) return { name, state: 'ok', text: npu.kernelsPluginPath ?? 'found' };
  return {
    ...{ name, state: 'note' },
    text: `no plugin: ${npu.kernelsReason ?? 'not found'}. Layers run on CANN's own operations${
      npu.kernelsPluginPath === undefined
        ? '.'
        : `; scripts/build-ascend-kernels.sh builds it (${guide}).`
    }`,
  };
}

/** The finding for kernels that are installed, but all or some of which failed the trial at opening. */
export function putAside(before: Npu, after: Npu): Finding | undefined {
  if (!before.kernelsPlugin) return undefined;
  if (after.kernelsPlugin) {
    if (after.kernelsReason === undefined) return undefined;
    return {
      ...{ name: 'kernels', state: 'note' },
      text: `${after.kernelsRung}: ${after.kernelsReason}`,
    };
  }
  return {
    ...{ name: 'kernels', state: 'failure', text: after.kernelsReason ?? 'put aside' },
    fix: `Build the plugin for this chip: scripts/build-ascend-kernels.sh (${guide}).`,
  };
}

function checkSwitches(environment: HostFacts['environment']): Finding[] {
  // Each variable with the one value that has an effect.
  const switches: [name: string, value: string, effect: string][] = [
    [
      'LATTE_ASCEND_SYNC',
      '1',
      'each operation is waited for, which is slow: for finding errors alone',
    ],
    ['LATTE_ASCEND_FUSED_PATCH', '0', 'PatchEmbed does not take the fused kernel'],
    ['LATTE_ASCEND_CAPTURE', '0', 'forwards are neither captured nor replayed'],
    ['LATTE_ASCEND_KERNEL_BINARY', 'off', "kernels are launched by the plugin's functions alone"],
  ];
  const usual = new Map([
    ['LATTE_ASCEND_SYNC', '0'],
    ['LATTE_ASCEND_FUSED_PATCH', '1'],
    ['LATTE_ASCEND_CAPTURE', '1'],
  ]);
  const list: Finding[] = [];
  for (const [name, wanted, effect] of switches) {
    const value = environment[name];
    if (value === undefined || value === '' || value === usual.get(name)) continue;
    // A path here is not a switch: it names the device binary.
    if (name === 'LATTE_ASCEND_KERNEL_BINARY' && value !== wanted) continue;
    const text =
      value === wanted
        ? `${name}=${value}: ${effect}`
        : `${name}=${value} is ignored: only ${wanted} has an effect`;
    list.push({ name: 'switches', state: 'note', text });
  }
  return list;
}

function checkCpu(devices: readonly DeviceInfo[]): Finding | undefined {
  const cpu = devices.find(({ kind }) => kind === 'cpu');
  if (cpu === undefined) return undefined;
  const threads = `${cpu.threads} ${cpu.threads === 1 ? 'thread' : 'threads'}`;
  return {
    ...{ name: 'CPU', state: 'ok' },
    text: `${cpu.instructionSet}, ${threads}, ${formatBytes(cpu.memory!.free)} free`,
  };
}

/** The finding for the self-test of one device. */
export function selfTestFinding(device: string, tests: readonly SelfTest[]): Finding {
  const name = `self-test ${device}`;
  const passed = tests.filter(({ outcome }) => outcome === 'passed');
  const failed = tests.filter(({ outcome }) => outcome === 'failed');
  const layers = new Set(tests.map(({ layer }) => layer)).size;
  if (failed.length > 0) {
    const [first] = failed;
    const what = `${first!.layer} in ${first!.dtype}`;
    const why = first!.error ?? `differs from the CPU by ${first!.largestError}`;
    return {
      ...{ name, state: 'failure' },
      text: `${failed.length} of ${tests.length} failed; the first: ${what}: ${why}`,
      fix: /\b561(003|112)\b/.test(why)
        ? installKernels
        : 'LATTE_ASCEND_SYNC=1 names the operation that failed. LATTE_ASCEND_KERNELS=off tells ' +
          `whether the plugin is to blame. See ${guide}, "When something fails".`,
    };
  }
  const refused = dtypes.filter((dtype) =>
    tests.some((test) => test.outcome === 'refused' && test.dtype === dtype),
  );
  const without =
    refused.length === 0 ? '' : `; the chip does not compute in ${refused.join(' or ')}`;
  if (passed.length === 0) {
    return { name, state: 'failure', text: `no layer ran: ${tests[0]?.error ?? ''}` };
  }
  const against = device === 'cpu' ? 'run' : 'agree with the CPU';
  return { name, state: 'ok', text: `${layers} layers ${against}${without}` };
}
