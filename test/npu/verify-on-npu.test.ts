import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';

// Runs on a simulated NPU what someone with an NPU runs and sends back.

const root = join(__dirname, '..', '..');
const folder = mkdtempSync(join(tmpdir(), 'latte-verify-test-'));
afterAll(() => rmSync(folder, { recursive: true }));

interface Way {
  skipped?: string;
  doctor: { healthy: boolean; selfTest: unknown[] };
  parity?: { passed: number; passedOnNpu: number; failed: number };
  notFinite?: Record<string, Record<'npu:0' | 'cpu', string>>;
  timings?: { timings: { layer: string; dtype: string; milliseconds?: { median: number } }[] };
}

interface Report {
  allRight: boolean;
  gaps: string[];
  project: { version: string; commit?: string };
  environment: Record<string, unknown>;
  ways: Record<'plugin' | 'fused' | 'aclnn', Way>;
}

/** Runs the script with the twin's plugin, or with none; returns its status and its file. */
function verify(plugin: string): { status: number | null; stdout: string; report: Report } {
  const file = join(folder, 'report.json');
  const vitest = Object.keys(process.env).filter((name) => name.startsWith('VITEST'));
  const { status, stdout } = spawnSync(
    join(root, 'scripts', 'verify-on-npu.sh'),
    ['--no-build', '--quick', '-o', file],
    {
      encoding: 'utf8',
      env: {
        ...process.env,
        ...Object.fromEntries(vitest.map((name) => [name, undefined])),
        ...{ LATTE_ASCEND_KERNELS: plugin, LATTE_TWIN_SOC: 'Ascend910B3' },
      },
    },
  );
  return { status, stdout, report: JSON.parse(readFileSync(file, 'utf8')) as Report };
}

describe('scripts/verify-on-npu.sh', () => {
  it('writes environment, parity, self-test and timings of every way into one file', () => {
    const plugin = join(process.env.ASCEND_HOME_PATH!, 'lib64', 'liblatte_ascend_kernels.so');
    const { status, stdout, report } = verify(plugin);
    expect(stdout).toMatch(/^fused +\d+ passed, \d+ of them on NPUs; failed: 0$/m);
    expect([status, report.allRight]).toEqual([0, true]);
    // The file must not be mistaken for that of a real NPU.
    expect(report.environment).toMatchObject({ simulated: true, soc: 'Ascend910B3' });
    expect(report.environment.node).toBe(process.version);
    for (const { skipped, doctor, parity, timings, notFinite } of Object.values(report.ways)) {
      expect(Object.keys(notFinite!)).toHaveLength(3 * 2 * 4);
      const { 'npu:0': npu, cpu } = notFinite!['PatchEmbed float32 NaN']!;
      expect([npu, cpu]).toEqual(Array(2).fill(expect.stringMatching(/^NaN( \d+\.?\d*){3}$/)));
      expect(skipped).toBeUndefined();
      expect([doctor.healthy, parity!.failed]).toEqual([true, 0]);
      // The script uses only the first NPU.
      expect(doctor.selfTest).toHaveLength(14 * 3 + 1);
      expect(parity!.passedOnNpu).toBeGreaterThanOrEqual(80);
      // Four layers of Latte and nine of other models.
      expect(timings!.timings).toHaveLength((4 + 9) * 3);
      for (const { milliseconds } of timings!.timings) {
        expect(milliseconds!.median).toBeGreaterThan(0);
      }
    }
  });

  it('lists all that is missing at once, and writes the file all the same', () => {
    const bare = mkdtempSync(join(folder, 'bare-'));
    symlinkSync(join(root, 'scripts'), join(bare, 'scripts'));
    symlinkSync(join(root, 'package.json'), join(bare, 'package.json'));
    const file = join(bare, 'report.json');
    const { status, stdout } = spawnSync(
      join(bare, 'scripts', 'verify-on-npu.sh'),
      ['--no-build', '-o', file],
      {
        encoding: 'utf8',
        env: { ...process.env, LATTE_ADDON: '/nowhere.node', ASCEND_HOME_PATH: undefined },
      },
    );
    const { allRight, gaps, ways } = JSON.parse(readFileSync(file, 'utf8')) as Report;
    expect([status, allRight]).toEqual([1, false]);
    const what = ['the addon /nowhere.node', 'a checkout', 'dist/', 'ASCEND_HOME_PATH'];
    for (const missing of [...what, 'an addon']) {
      expect(gaps.some((gap) => gap.includes(missing))).toBe(true);
      expect(stdout).toContain(missing);
    }
    expect(Object.keys(ways)).toEqual(['plugin', 'fused', 'aclnn']);
    expect(stdout).toMatch(/\nPlease attach .*report\.json to an issue of this project.*\n$/);
  });

  it('skips the tests of a missing plugin, and records the reason', () => {
    const { status, report } = verify('nowhere-plugin.so');
    expect(status).toBe(0);
    const { plugin, fused, aclnn } = report.ways;
    expect(report.gaps).toEqual([expect.stringContaining('the kernels plugin nowhere-plugin.so')]);
    expect([plugin.skipped, fused.skipped]).toEqual([
      expect.stringContaining('nowhere-plugin.so'),
      expect.stringContaining('nowhere-plugin.so'),
    ]);
    expect(aclnn.parity!.passedOnNpu).toBeGreaterThanOrEqual(80);
  });
});
