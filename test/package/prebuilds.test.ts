import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { projectRoot, runOk } from './project.js';

// Reads the addons that the package carries (npm run build:prebuilds), and checks them.
const fileOf = (platform: string, name = 'latte.node'): string =>
  join(projectRoot, 'prebuilds', platform, name);

const readelf = (file: string, ...what: string[]): string =>
  execFileSync('readelf', ['--wide', ...what, file], {
    encoding: 'utf8',
    env: { ...process.env, LC_ALL: 'C' },
    maxBuffer: 2 ** 26,
  });

const built = readdirSync(join(projectRoot, 'prebuilds')).sort();

test('are there for glibc on both processors, and perhaps for musl, too', () => {
  expect(built).toEqual(expect.arrayContaining(['linux-arm64', 'linux-x64']));
  for (const platform of built) expect(platform).toMatch(/^linux-(x64|arm64)(-musl)?$/);
});

describe.each(built)('%s', (platform) => {
  const file = fileOf(platform);
  const machine = platform.includes('x64') ? 'Advanced Micro Devices X86-64' : 'AArch64';
  const forMusl = platform.endsWith('-musl');

  test('is for its processor', () => {
    expect(readelf(file, '--file-header')).toContain(
      `Machine:                           ${machine}`,
    );
  });

  test('needs the C library, of glibc 2.28 at most, and no library for C++', () => {
    const needed = [...readelf(file, '--dynamic').matchAll(/\(NEEDED\).*\[(.*)\]/g)].map(
      ([, of]) => of,
    );
    if (forMusl) {
      expect(needed).toEqual(['libc.so']);
      return;
    }
    expect(needed).not.toEqual([]);
    expect(
      needed.filter((of) => !/^(lib(c|m|dl|pthread|rt)|ld-linux[-\w]*)\.so\.\d$/.test(of!)),
    ).toEqual([]);
    const versions = [...readelf(file, '--version-info').matchAll(/Name: (\w+)_(\d+)\.(\d+)/g)];
    expect(versions.length).toBeGreaterThan(0);
    for (const [name, library, major, minor] of versions) {
      expect(library, name).toBe('GLIBC');
      expect(Number(major) * 1000 + Number(minor), name).toBeLessThanOrEqual(2028);
    }
  });

  test('exports the symbol that Node.js looks up, and nothing else', () => {
    const exported = readelf(file, '--dyn-syms')
      .split('\n')
      .map((line) => line.trim().split(/\s+/))
      .filter(([, , , , binding, , section]) => binding !== 'LOCAL' && /^\d+$/.test(section ?? ''))
      .map(([, , , , , , , name]) => name);
    expect(exported.sort()).toEqual([
      'napi_register_module_v1',
      'node_api_module_get_api_version_v1',
    ]);
  });

  test('loads where pages have 64 KiB, and has no library path', () => {
    const segments = [
      ...readelf(file, '--program-headers').matchAll(/^ +LOAD .* (0x[0-9a-f]+)$/gm),
    ];
    expect(segments.length).toBeGreaterThan(1);
    for (const [line, alignment] of segments) expect(Number(alignment), line).toBe(65536);
    expect(readelf(file, '--dynamic')).not.toMatch(/\((RPATH|RUNPATH|TEXTREL)\)/);
  });

  test('is stripped; its symbols lie beside it under the same build id', () => {
    expect(readelf(file, '--section-headers')).not.toMatch(/ \.(symtab|debug_info) /);
    const symbols = fileOf(platform, 'latte.node.debug');
    expect(readelf(symbols, '--section-headers')).toMatch(/ \.debug_line .*[^]* \.symtab /);
    const buildId = (of: string) => /Build ID: ([0-9a-f]{40})/.exec(readelf(of, '--notes'))?.[1];
    expect(buildId(file)).toBeDefined();
    expect(buildId(symbols)).toBe(buildId(file));
    // Code and addresses must be the same, or the symbols would be another program's.
    const text = (of: string) =>
      / \.text +PROGBITS +(\w+) \w+ (\w+)/.exec(readelf(of, '--section-headers'))?.slice(1);
    expect(text(file)).toBeDefined();
    expect(text(symbols)).toEqual(text(file));
  });

  test('names no folder of the machine that built it, and is small', () => {
    expect(readFileSync(file, 'latin1')).not.toContain(projectRoot);
    expect(statSync(file).size).toBeLessThan(4 * 2 ** 20);
  });
});

// Kernels are chosen at run time. If the compiler answered "no" to each question about the processor, a
// build would compute right, but many times too slowly.
test('the addon of this host chooses the best instruction set of the processor', async () => {
  const addon = fileOf(`linux-${process.arch}`);
  expect(existsSync(addon)).toBe(true);
  const text = `const { devices } = require(${JSON.stringify(projectRoot)});
    console.log(devices()[0].instructionSet);`;
  const environment = { ...process.env, LATTE_ADDON: addon, LATTE_CPU_TARGET: '' };
  const chosen = await runOk(process.execPath, ['-e', text], projectRoot, environment);
  expect(chosen.trim()).toMatch(bestInstructionSet(readFileSync('/proc/cpuinfo', 'utf8')));
});

function bestInstructionSet(cpuinfo: string): RegExp {
  if (process.arch === 'arm64') return /^(NEON|SVE)/;
  const flags = new Set(/^flags\s*: (.*)$/m.exec(cpuinfo)?.[1]?.split(' '));
  const has = (...names: string[]): boolean => names.every((name) => flags.has(name));
  if (has('avx512f', 'avx512bw', 'avx512dq', 'avx512vl', 'avx512cd')) return /^AVX3/;
  if (has('avx2', 'fma', 'f16c', 'bmi1', 'bmi2')) return /^AVX2$/;
  return /^SSE2$/;
}
