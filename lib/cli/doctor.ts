import { Command, Help } from 'commander';
import type { DeviceDiagnostics, DeviceInfo } from '../index.js';
import { buildIdOf } from './doctor/build-id.js';
import type { Finding } from './doctor/finding.js';
import { expectsNpu, findings, putAside, selfTestFinding } from './doctor/findings.js';
import { readHost, toolkitVersion, type HostFacts } from './doctor/host.js';
import { dtypes, selfTest, type SelfTest } from './doctor/self-test.js';
import { formatTable, printable, printJson } from './format.js';
import { packageVersion } from './version.js';

interface Diagnosis {
  healthy: boolean;
  version: string;
  node: string;
  platform: string;
  cannVersion?: string;
  findings: Finding[];
  selfTest: SelfTest[];
  devices: DeviceInfo[];
  diagnostics?: DeviceDiagnostics;
  host: HostFacts;
}

/** `doctor`: finds out why an NPU is, or is not, available, and tests the layers on each device. */
export function doctorCommand(): Command {
  return new Command('doctor')
    .description('find out why an NPU is, or is not, available, and test the layers on it')
    .option('--json', 'print JSON instead of text')
    .addHelpText(
      'after',
      `
Checks the driver, CANN and its libraries, the chip, the variables that hide NPUs, memory and the
kernels plugin, in the order in which problems are best solved. Then runs each layer on each NPU and
compares the results with the CPU's.

Exit status 0: all checks passed; without any sign of an NPU, layers run on the CPU.
Exit status 1: a check failed.`,
    )
    .action(async (options: { json?: boolean }) => {
      const write = options.json ? () => undefined : (text: string) => process.stdout.write(text);
      const diagnosis = await diagnose(write);
      if (options.json) printJson(diagnosis);
      else process.stdout.write(conclude(diagnosis));
      if (!diagnosis.healthy) process.exitCode = 1;
    });
}

/** Makes all findings. Each is written at once: if a device hangs, the last line shows the step before. */
async function diagnose(write: (text: string) => void): Promise<Diagnosis> {
  const diagnosis: Diagnosis = {
    ...{ healthy: false, version: packageVersion(), node: process.version },
    platform: `${process.platform} ${process.arch}`,
    ...{ findings: [], selfTest: [], devices: [] },
    host: readHost(),
  };
  const { version, node, platform, host } = diagnosis;
  write(`latte-embeddings ${version}, Node ${node}, ${platform}\n\n`);
  const add = (finding: Finding): void => {
    diagnosis.findings.push(finding);
    write(formatFinding(finding));
  };

  let library: typeof import('../index.js');
  try {
    library = await import('../index.js');
  } catch (error) {
    add({
      ...{ name: 'addon', state: 'failure', text: (error as Error).message },
      fix: 'Build it from source: npx latte-embeddings build',
    });
    return diagnosis;
  }
  add(await addonFinding());
  diagnosis.diagnostics = library.deviceDiagnostics();
  const notOpened = new Map<string, string>();
  for (const { name } of library.devices()) {
    await library.openDevice(name).catch((error: Error) => notOpened.set(name, error.message));
  }
  diagnosis.devices = library.devices();
  const { libraryPath } = diagnosis.diagnostics.npu;
  if (libraryPath !== undefined) diagnosis.cannVersion = toolkitVersion(libraryPath);
  for (const finding of findings(host, diagnosis.diagnostics, diagnosis.devices, notOpened)) {
    add(finding);
  }

  const npus = diagnosis.devices.filter(({ kind }) => kind === 'npu');
  for (const { name } of npus.length > 0 ? npus : diagnosis.devices) {
    const tests = await selfTest(library, name);
    diagnosis.selfTest.push(...tests);
    add(selfTestFinding(name, tests));
  }
  const before = diagnosis.diagnostics.npu;
  diagnosis.diagnostics = library.deviceDiagnostics();
  const aside = putAside(before, diagnosis.diagnostics.npu);
  if (aside !== undefined) add(aside);
  diagnosis.healthy = diagnosis.findings.every(({ state }) => state !== 'failure');
  return diagnosis;
}

/** The path and the build id of the loaded addon. The id identifies the debug symbols for a crash. */
async function addonFinding(): Promise<Finding> {
  const { addonPath } = await import('../native.js');
  const id = addonPath === undefined ? undefined : buildIdOf(addonPath);
  const text = `${addonPath ?? 'in a bundle'}, build id ${id ?? 'unknown'}`;
  return { name: 'addon', state: 'ok', text };
}

const marks: Readonly<Record<Finding['state'], string>> = {
  ok: 'ok',
  note: 'note',
  failure: 'FAIL',
  absent: '-',
};

const nameWidth = 16;

function formatFinding({ name, state, text, fix }: Finding): string {
  const label = `  ${marks[state].padEnd(4)}  ${name.padEnd(nameWidth)}  `;
  const paragraphs = fix === undefined ? [text] : [text, `→ ${fix}`];
  return paragraphs
    .flatMap((paragraph) => wrapped(printable(paragraph), label.length))
    .map((line, i) => `${i === 0 ? label : ' '.repeat(label.length)}${line}\n`)
    .join('');
}

/** Breaks a text into lines that fit the terminal after `indent` columns. */
function wrapped(text: string, indent: number): string[] {
  const width = Math.min(process.stdout.columns || 80, 100);
  return new Help().boxWrap(text, Math.max(width - indent, 40)).split('\n');
}

/** The tables of the NPUs' self-tests, and the verdict. */
function conclude({ selfTest: tests, findings: all, devices, host }: Diagnosis): string {
  const npus = devices.filter(({ kind }) => kind === 'npu').map(({ name }) => name);
  const tables = npus
    .map((device) => tests.filter((test) => test.device === device))
    // If several NPUs passed, one table is enough.
    .filter((of, i) => i === 0 || of.some(({ outcome }) => outcome === 'failed'))
    .map(formatTests);
  return `${tables.join('')}\n${verdict(all, npus, expectsNpu(host))}`;
}

function formatTests(tests: readonly SelfTest[]): string {
  const layers = [...new Set(tests.map(({ layer }) => layer))];
  const cell = (layer: string, dtype: string): string => {
    const test = tests.find((one) => one.layer === layer && one.dtype === dtype);
    if (test === undefined || test.outcome === 'refused') return '-';
    if (test.largestError === undefined) return 'error';
    const error = test.largestError === 0 ? '0' : test.largestError.toExponential(1);
    return `${error}${test.outcome === 'failed' ? ' !' : ''}`;
  };
  const limits = dtypes.map((dtype) => {
    const limit = tests.find((test) => test.dtype === dtype)?.allowed;
    return limit === undefined ? '-' : limit.toExponential(1);
  });
  const rows = layers.map((layer) => [layer, ...dtypes.map((dtype) => cell(layer, dtype))]);
  const heading = `\nLargest |npu - cpu| / max(1, |cpu|) on ${tests[0]!.device}\n`;
  const header = ['LAYER', ...dtypes.map((dtype) => dtype.toUpperCase())];
  return heading + formatTable([header, ...rows, ['allowed', ...limits]], [1, 2, 3]);
}

function verdict(all: readonly Finding[], npus: readonly string[], expected: boolean): string {
  const failures = all.filter(({ state }) => state === 'failure');
  const [first] = failures;
  if (first !== undefined) {
    const more = failures.length > 1 ? ` and ${failures.length - 1} more` : '';
    const rest = npus.length === 0 && all.some(({ name }) => name === 'CPU');
    return `To be mended: ${first.name}${more}.${rest ? ' Until then layers run on the CPU.' : ''}\n`;
  }
  if (npus.length > 0) return `All layers run on ${npus.join(', ')}.\n`;
  return expected
    ? 'No NPU; layers run on the CPU.\n'
    : 'Nothing here asks for an NPU; layers run on the CPU.\n';
}
