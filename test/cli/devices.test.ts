import { expect, it } from 'vitest';
import { run } from './run.js';

it('devices lists the cpu, with its instruction set, threads and memory', async () => {
  const { status, stdout, stderr } = await run(['devices'], { LATTE_NUM_THREADS: '3' });
  expect(stderr).toBe('');
  expect(status).toBe(0);
  const [header, cpu] = stdout.split('\n');
  expect(header).toMatch(/NAME +KIND +CHIP +THREADS +FREE MEMORY +MEMORY/);
  expect(cpu).toMatch(/cpu +cpu +[\w-]+ +3 +[\d.]+ \wB +[\d.]+ \wB/);
});

it('devices --json is what devices() returns', async () => {
  const { status, stdout } = await run(['devices', '--json'], { LATTE_NUM_THREADS: '2' });
  expect(status).toBe(0);
  const found = JSON.parse(stdout) as {
    name: string;
    kind: string;
    threads: number;
    memory: { total: number };
  }[];
  expect(found[0]).toMatchObject({ name: 'cpu', kind: 'cpu', threads: 2 });
  expect(found[0]!.memory.total).toBeGreaterThan(2 ** 20);
});
