// verify.mjs [--quick] [--output file]: runs doctor, the parity table and timings in every way that
// the NPU path has, each in processes of its own. Writes the results as one JSON file. Called by
// scripts/verify-on-npu.sh.
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, release, tmpdir, totalmem, version } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

const { values: options } = parseArgs({
  options: { quick: { type: 'boolean' }, output: { type: 'string' } },
});
const output = options.output ?? 'latte-on-npu.json';
const simulated = existsSync(
  join(process.env.ASCEND_HOME_PATH ?? '', 'lib64', 'twin_control.node'),
);
// On the model of the instructions full-size layers take hours, and their times mean nothing.
const quick = options.quick === true || simulated;

/** The ways, as environment variables. LATTE_ASCEND_KERNELS stays the caller's, except for `aclnn`. */
const ways = {
  plugin: { LATTE_ASCEND_FUSED_PATCH: '0' },
  fused: { LATTE_ASCEND_FUSED_PATCH: '' },
  aclnn: { LATTE_ASCEND_KERNELS: 'off', LATTE_ASCEND_FUSED_PATCH: '' },
};

const tests = quick
  ? ['test/parity/golden.test.ts']
  : [
      'test/parity/golden',
      'test/parity/parity.test.ts',
      'test/parity/full-size',
      'test/checkpoint/golden',
    ];

const vitest = join('node_modules', 'vitest', 'vitest.mjs');
const scratch = mkdtempSync(join(tmpdir(), 'latte-verify-'));

function run(command, args, env = {}) {
  return spawnSync(command, args, {
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
    env: { ...process.env, NODE_OPTIONS: '', VITEST: undefined, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

/** Returns the JSON that a command prints; if it prints none, how the command ended. */
function runJson(args, env) {
  const { status, signal, stdout, stderr } = run(process.execPath, args, env);
  // CANN's own launchers may print to standard output first.
  const start = stdout.search(/^\{/m);
  try {
    return JSON.parse(stdout.slice(start));
  } catch {
    return { failed: { status, signal, stdout: stdout.slice(-2000), stderr: stderr.slice(-4000) } };
  }
}

function runParity(env) {
  if (!existsSync(join('test', 'parity'))) return { skipped: 'the tests are in a checkout alone' };
  if (!existsSync(vitest)) return { failed: 'vitest is not installed: npm ci' };
  const file = join(scratch, 'parity.json');
  rmSync(file, { force: true });
  const args = [
    'run',
    '--project',
    'unit',
    '--project',
    'slow',
    '--reporter=json',
    `--outputFile=${file}`,
    ...tests,
  ];
  const { status, signal, stderr } = run(process.execPath, [vitest, ...args], env);
  if (!existsSync(file)) return { failed: { status, signal, stderr: stderr.slice(-4000) } };
  const all = JSON.parse(readFileSync(file, 'utf8')).testResults.flatMap((suite) =>
    suite.assertionResults.length > 0
      ? suite.assertionResults
      : [{ status: suite.status, fullName: suite.name, failureMessages: [suite.message] }],
  );
  const onNpu = all.filter(({ fullName }) => fullName.includes('npu:'));
  const wrong = all.filter((test) => test.status !== 'passed' && test.status !== 'skipped');
  return {
    passed: all.filter(({ status: outcome }) => outcome === 'passed').length,
    passedOnNpu: onNpu.filter(({ status: outcome }) => outcome === 'passed').length,
    failed: wrong.length,
    failures: wrong.slice(0, 100).map(({ fullName, failureMessages }) => ({
      name: fullName,
      message: (failureMessages?.[0] ?? '').split('\n    at ')[0].slice(0, 600),
    })),
  };
}

function firstLine(command, args) {
  try {
    return execFileSync(command, args, {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
  } catch {
    return undefined;
  }
}

function environment(doctor) {
  const { npu } = doctor.diagnostics ?? { npu: {} };
  return {
    simulated,
    soc: npu.soc,
    npus: npu.deviceCount,
    cann: doctor.cannVersion,
    acl: npu.aclVersion,
    driver: doctor.host?.driver.version,
    node: process.version,
    os: readOs(),
    kernel: `${release()} ${process.arch} (${version()})`,
    cpu: `${cpus().length} x ${cpus()[0]?.model}`,
    memory: totalmem(),
    compiler: firstLine('c++', ['--version'])?.split('\n')[0],
    npuSmi: firstLine('npu-smi', ['info']),
  };
}

function readOs() {
  if (!existsSync('/etc/os-release')) return process.platform;
  return /^PRETTY_NAME="?([^"\n]*)/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1];
}

function project() {
  const { version: packageVersion } = JSON.parse(readFileSync('package.json', 'utf8'));
  const changed = firstLine('git', ['status', '--porcelain', '--untracked-files=no']);
  return {
    version: packageVersion,
    commit: firstLine('git', ['rev-parse', 'HEAD']),
    changed: changed === undefined ? undefined : changed !== '',
  };
}

/** Compares our declarations with the toolkit's headers, if it has any. */
function compareHeaders() {
  if (!process.env.ASCEND_HOME_PATH) return { compared: false, output: 'no ASCEND_HOME_PATH' };
  const { status, stdout, stderr } = run('scripts/check-toolkit.sh', [
    '--abi',
    process.env.ASCEND_HOME_PATH,
  ]);
  return { compared: status === 0, output: `${stdout}${stderr}`.trim().slice(-2000) };
}

function runWay(name) {
  const say = (text) => console.error(`${name}: ${text}`);
  const env = ways[name];
  say('doctor');
  const doctor = runJson(['dist/cli/main.js', 'doctor', '--json'], env);
  const { npu } = doctor.diagnostics ?? {};
  if (!npu?.available) return { doctor, skipped: npu?.reason ?? 'the doctor did not end well' };
  if (name !== 'aclnn' && !npu.kernelsPlugin) return { doctor, skipped: npu.kernelsReason };
  say('parity table');
  const parity = runParity(env);
  say('timings');
  const bench = ['dist/cli/main.js', 'bench', '--device', 'npu:0', '--json'];
  const timings = runJson([...bench, ...(quick ? ['--quick'] : [])], env);
  say('numbers that are not finite');
  const notFinite = runJson(['scripts/verify/not-finite.mjs'], env);
  return { doctor, parity, timings, notFinite };
}

const results = Object.fromEntries(Object.keys(ways).map((name) => [name, runWay(name)]));
rmSync(scratch, { recursive: true });
const wellDone = ({ skipped, doctor, parity, timings }) =>
  skipped === undefined
    ? doctor.healthy &&
      (parity.skipped !== undefined || (parity.failed === 0 && parity.passedOnNpu > 0)) &&
      timings.failed === undefined
    : doctor.diagnostics?.npu.available === true;
const report = {
  format: 2,
  made: new Date().toISOString(),
  quick,
  allRight: Object.values(results).every(wellDone),
  project: project(),
  environment: environment(results.plugin.doctor),
  gaps: (process.env.LATTE_VERIFY_GAPS ?? '').split('\n\n').filter((text) => text.trim() !== ''),
  addonBuild: process.env.LATTE_VERIFY_ADDON_BUILD,
  pluginBuild: process.env.LATTE_VERIFY_PLUGIN_BUILD,
  headers: compareHeaders(),
  ways: results,
};
writeFileSync(output, `${JSON.stringify(report, null, 2)}\n`);

for (const [name, { skipped, parity, doctor }] of Object.entries(results)) {
  let tested = `not run: ${skipped}`;
  if (parity?.skipped !== undefined) {
    tested = `doctor and timings; no parity table: ${parity.skipped}`;
  } else if (skipped === undefined) {
    const { passed = 0, passedOnNpu = 0, failed } = parity;
    const wrong = typeof failed === 'number' ? failed : 'the run itself';
    tested = `${passed} passed, ${passedOnNpu} of them on NPUs; failed: ${wrong}`;
  }
  console.log(`${name.padEnd(7)} ${tested}${doctor.healthy ? '' : '; see its doctor in the file'}`);
}
if (!report.allRight) process.exitCode = 1;
