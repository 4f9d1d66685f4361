import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import * as latte from '../../lib/index.js';
import { children } from '../support/child.js';

const { run } = children();

function bestInstructionSet(): string {
  const [, line] = /^(?:flags|Features)\s*:(.*)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))!;
  const flags = new Set(line!.split(' '));
  const has = (...names: string[]) => names.every((name) => flags.has(name));
  if (process.arch === 'arm64') return has('bf16') ? 'NEON_BF16' : 'NEON';
  const avx2 = has('avx2', 'fma', 'bmi1', 'bmi2', 'aes', 'pclmulqdq', 'f16c', 'abm');
  const avx3 = avx2 && has('avx512f', 'avx512vl', 'avx512dq', 'avx512bw', 'avx512cd');
  return avx3 ? 'AVX3' : avx2 ? 'AVX2' : 'SSE2';
}

describe('devices()', () => {
  it('lists the cpu first, with its instruction set, threads and memory', () => {
    const [cpu] = latte.devices();
    expect(cpu).toMatchObject({ name: 'cpu', kind: 'cpu' });
    expect(cpu!.instructionSet).toMatch(/^[A-Z][A-Z0-9_]+$/);
    expect(cpu!.threads).toBeGreaterThanOrEqual(1);
    expect(cpu!.memory!.total).toBeGreaterThan(2 ** 28);
    expect(cpu!.memory!.free).toBeGreaterThan(0);
    expect(cpu!.memory!.free).toBeLessThanOrEqual(cpu!.memory!.total);
  });

  // The kernel is asked, because compilers' run-time libraries differ in what they know of a processor.
  it('chooses the best instruction set that the processor has', () => {
    expect(latte.devices()[0]!.instructionSet).toBe(bestInstructionSet());
  });

  it("gives a list of the caller's own", () => {
    latte.devices().length = 0;
    expect(latte.devices().length).toBeGreaterThanOrEqual(1);
  });
});

describe('LATTE_NUM_THREADS', () => {
  it.each(['1', '2', '5'])('%s sets the number of threads', async (threads) => {
    const ended = await run('test/lifecycle/fixtures/print-devices', {
      env: { LATTE_NUM_THREADS: threads },
    });
    const [cpu] = JSON.parse(ended.stdout) as latte.DeviceInfo[];
    expect(cpu).toMatchObject({ name: 'cpu', threads: Number(threads) });
  });
});

describe('LATTE_CPU_TARGET', () => {
  const [baseline, wider] = process.arch === 'x64' ? ['SSE2', 'AVX2'] : ['NEON', 'NEON'];
  it.each([baseline, wider.toLowerCase()])('%s chooses the instruction set', async (target) => {
    const ended = await run('test/lifecycle/fixtures/print-devices', {
      env: { LATTE_CPU_TARGET: target },
    });
    const [cpu] = JSON.parse(ended.stdout) as latte.DeviceInfo[];
    expect(cpu!.instructionSet).toBe(target.toUpperCase());
  });
});

describe('a setting that cannot be honoured', () => {
  it.each([
    ['LATTE_NUM_THREADS', 'zero', 'whole number from 1 to 1024'],
    ['LATTE_NUM_THREADS', '0', 'whole number from 1 to 1024'],
    ['LATTE_NUM_THREADS', '2.5', 'whole number from 1 to 1024'],
    ['LATTE_NUM_THREADS', '1025', 'whole number from 1 to 1024'],
    ['LATTE_NUM_THREADS', '99999999999999999999', 'whole number from 1 to 1024'],
    [
      'LATTE_CPU_TARGET',
      'MMX',
      process.arch === 'x64' ? 'SSE2, AVX2 or AVX3' : 'NEON or NEON_BF16',
    ],
    ['LATTE_ADDON', '/nonexistent', 'no such file'],
    ['LATTE_ADDON', __filename, 'devices.test'],
    ['LATTE_ASCEND_SYNC', 'yes', '0 or 1'],
    ['LATTE_ASCEND_FUSED_PATCH', 'true', '0 or 1'],
    ['LATTE_ASCEND_CAPTURE', 'off', '0 or 1'],
    ['LATTE_ASCEND_KERNELS', '/nonexistent/kernels.so', 'off or a file'],
    ['LATTE_ASCEND_KERNEL_BINARY', '/nonexistent/kernels.o', 'off or a file'],
    ['LATTE_ASCEND_TRIAL_MS', '0', 'whole number from 1 to 1000000'],
  ])('%s=%s is an ERR_VALUE that names it', async (name, value, expected) => {
    const ended = await run('test/lifecycle/fixtures/print-devices', { env: { [name]: value } });
    expect([ended.status, ended.stdout]).toEqual([1, '']);
    expect(ended.stderr).toContain("code: 'ERR_VALUE'");
    expect(ended.stderr).toContain(name);
    expect(ended.stderr).toContain(expected);
    expect(ended.stderr).toContain(value);
  });

  it('unless it is empty, which counts as unset', async () => {
    const names = ['NUM_THREADS', 'CPU_TARGET', 'ASCEND_SYNC', 'ASCEND_KERNELS'];
    const env = Object.fromEntries(names.map((name) => [`LATTE_${name}`, '']));
    const ended = await run('test/lifecycle/fixtures/print-devices', { env });
    expect(ended).toMatchObject({ status: 0, stderr: '' });
  });
});
