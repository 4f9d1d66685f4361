import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import * as latte from '../../lib/index.js';
import { children } from '../support/child.js';

const { run } = children();

function bestInstructionSet(): string {
  if (process.arch === 'arm64') return 'NEON';
  const [, line] = /^flags\s*:(.*)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))!;
  const flags = new Set(line!.split(' '));
  const has = (...names: string[]) => names.every((name) => flags.has(name));
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
    expect(cpu!.memory.total).toBeGreaterThan(2 ** 28);
    expect(cpu!.memory.free).toBeGreaterThan(0);
    expect(cpu!.memory.free).toBeLessThanOrEqual(cpu!.memory.total);
  });

  // Compilers differ in what their run-time library knows of a processor, so the kernel is asked here.
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

  it.each(['', '0', '-3', 'many', '1e9', '2.5', '99999999999999999999'])(
    '%j is none, and does no harm',
    async (threads) => {
      const ended = await run('test/lifecycle/fixtures/print-devices', {
        env: { LATTE_NUM_THREADS: threads },
      });
      expect(ended.status, ended.stderr).toBe(0);
      const [cpu] = JSON.parse(ended.stdout) as latte.DeviceInfo[];
      expect(cpu!.threads).toBeGreaterThanOrEqual(1);
      expect(cpu!.threads).toBeLessThanOrEqual(1024);
    },
  );
});

describe('LATTE_CPU_TARGET', () => {
  it('that there is not does no harm', async () => {
    for (const target of ['', 'MMX', 'NEON_ON_X86']) {
      const ended = await run('test/lifecycle/fixtures/print-devices', {
        env: { LATTE_CPU_TARGET: target },
      });
      expect(ended.status, ended.stderr).toBe(0);
    }
  });
});
