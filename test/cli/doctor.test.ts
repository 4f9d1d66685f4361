import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Finding } from '../../lib/cli/doctor/finding.js';
import { bin, run, temporaryFolders, type Finished } from './run.js';

// The doctor on a host without CANN. With NPUs: test/npu/doctor.test.ts.

const root = join(__dirname, '..', '..');
const folder = temporaryFolders();

interface Diagnosis {
  healthy: boolean;
  version: string;
  findings: Finding[];
  selfTest: { device: string; outcome: string }[];
  devices: { name: string }[];
}

const doctor = (args: string[] = [], env: NodeJS.ProcessEnv = {}): Promise<Finished> =>
  run(['doctor', ...args], {
    ...{ ASCEND_HOME_PATH: undefined, ASCEND_TOOLKIT_HOME: undefined },
    ...{ ASCEND_RT_VISIBLE_DEVICES: undefined, ASCEND_VISIBLE_DEVICES: undefined },
    ...{ LATTE_ASCEND_KERNELS: undefined, ...env },
  });

describe('doctor', () => {
  it('reports the CPU if nothing on the host needs an NPU: status 0', async () => {
    const { status, stdout, stderr } = await doctor();
    expect(stderr).toBe('');
    expect(stdout).toMatch(/^ {2}- {5}driver/m);
    expect(stdout).toMatch(/^ {2}ok {4}self-test cpu +15 layers run$/m);
    expect(stdout).toMatch(/Nothing here asks for an NPU; layers run on the CPU\.\n$/);
    expect(status).toBe(0);
  });

  it('reports the problems if something on the host needs an NPU: status 1', async () => {
    const { status, stdout, stderr } = await doctor([], {
      ...{ ASCEND_HOME_PATH: '/nonexistent', ASCEND_RT_VISIBLE_DEVICES: '0, 1' },
    });
    expect(stderr).toBe('');
    expect(stdout).toMatch(/^ {2}FAIL {2}CANN +no libascendcl\.so.*\n +\/nonexistent/m);
    expect(stdout).toContain('→ export ASCEND_RT_VISIBLE_DEVICES=0,1');
    expect(stdout).toMatch(
      /To be mended: driver and 2 more\. Until then layers run on the CPU\.\n$/,
    );
    expect(status).toBe(1);
  });

  it("quotes the loader's error if a library exists and does not open", async () => {
    const home = folder();
    mkdirSync(join(home, 'lib64'));
    writeFileSync(join(home, 'lib64', 'libascendcl.so'), 'no library');
    const { status, stdout } = await doctor(['--json'], { ASCEND_HOME_PATH: home });
    const { findings } = JSON.parse(stdout) as Diagnosis;
    expect(findings.find(({ name }) => name === 'libraries')).toMatchObject({
      state: 'failure',
      // Not that libacl_rt.so, the newer name, is missing, which is tried first.
      text: expect.stringMatching(/libascendcl\.so: (file too short|invalid ELF header)/),
    });
    expect(status).toBe(1);
  });

  it('wraps its output at the width of a terminal', async () => {
    const { stdout } = await doctor([], { ASCEND_RT_VISIBLE_DEVICES: '0, 1' });
    expect(stdout.split('\n').filter((line) => line.length > 80)).toEqual([]);
  });

  it('--json has findings, self-test, devices, diagnostics and the host', async () => {
    const { status, stdout, stderr } = await doctor(['--json']);
    expect(stderr).toBe('');
    const diagnosis = JSON.parse(stdout) as Diagnosis;
    expect(diagnosis).toMatchObject({
      healthy: true,
      devices: [{ name: 'cpu' }],
      diagnostics: { npu: { available: false } },
      host: { driver: { devices: [] } },
    });
    expect(diagnosis.selfTest.map(({ outcome }) => outcome)).toEqual(
      Array<string>(43).fill('passed'),
    );
    expect(status).toBe(0);
  });

  it('explains an addon that is not built: status 1', () => {
    const place = folder();
    cpSync(join(bin, '..', '..'), join(place, 'dist'), { recursive: true });
    cpSync(join(root, 'package.json'), join(place, 'package.json'));
    symlinkSync(join(root, 'node_modules'), join(place, 'node_modules'));
    const { status, stdout } = spawnSync(
      process.execPath,
      [join(place, 'dist', 'cli', 'main.js'), 'doctor'],
      { encoding: 'utf8', env: { ...process.env, LATTE_ADDON: '', XDG_DATA_HOME: place } },
    );
    expect(stdout).toMatch(/^ {2}FAIL {2}addon +latte-embeddings could not load/m);
    expect(stdout).toMatch(
      /→ Build it from source: npx latte-embeddings build\n[^]*To be mended: addon\.\n$/,
    );
    expect(status).toBe(1);
  });
});
