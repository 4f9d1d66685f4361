import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, statSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { LineProcess } from './line-process.js';
import type { Runner } from './types.js';

const folder = dirname(fileURLToPath(import.meta.url));
const source = join(folder, 'native', 'limits.cc');
const program = join(folder, 'build', 'limits');

export type LimitKind = 'write' | 'read' | 'cold' | 'fma' | 'bf16';

const titles: Record<LimitKind, string> = {
  write: 'write past the caches',
  read: 'read from the cache',
  cold: 'read once after the pause',
  fma: 'float32 multiply-adds',
  bf16: 'bfloat16 dot products',
};

/** Builds native/limits.cc if the source is newer than the program. */
export function buildLimits(): void {
  if (existsSync(program) && statSync(program).mtimeMs > statSync(source).mtimeMs) return;
  mkdirSync(dirname(program), { recursive: true });
  const compiler = process.env.CXX ?? 'g++';
  const flags = ['-std=c++20', '-O3', '-ffp-contract=fast', '-Wall', '-Wextra', '-pthread'];
  const built = spawnSync(compiler, [...flags, source, '-o', program], { stdio: 'inherit' });
  if (built.status !== 0) throw new Error(`${compiler} could not build ${source}`);
}

export function limitsProcess(): LineProcess {
  buildLimits();
  return new LineProcess(program, []);
}

/** Starts a process that keeps every core at work, and returns a function that ends it. */
export async function busyMachine(): Promise<() => Promise<void>> {
  buildLimits();
  const child = new LineProcess(program, ['--busy', String(availableParallelism())]);
  await child.ask('begun');
  return () => child.close();
}

/**
 * Measures how long the machine takes for `amount` bytes or operations at its limit. Reports no row if the
 * machine lacks the instruction (`bf16`).
 */
export function limit(
  kind: LimitKind,
  threads: number,
  amount: number,
  label: string,
  dtypes: string[],
): Runner {
  const child = limitsProcess();
  return {
    side: 'limit',
    limits: dtypes,
    name: titles[kind],
    variant: `${label}, ${threads} thread${threads === 1 ? '' : 's'}`,
    async sample(count) {
      const times: number[] = [];
      for (let i = 0; i < count; i++) {
        times.push(Number(await child.ask(`${kind} ${threads} ${amount}`)));
      }
      return times;
    },
    close: () => child.close(),
  };
}
