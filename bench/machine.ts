import { readFileSync } from 'node:fs';
import { availableParallelism, totalmem } from 'node:os';
import { createRequire } from 'node:module';
import { env } from 'onnxruntime-node';
import type { LineProcess } from './line-process.js';
import { limitsProcess } from './limits.js';

const require = createRequire(import.meta.url);

export interface Machine {
  processor: string;
  cores: number;
  memoryBytes: number;
  instructions: string;
  cache: string;
  kernel: string;
  node: string;
  product: string;
  onnxruntime: string;
}

function firstMatch(file: string, pattern: RegExp): string {
  try {
    return pattern.exec(readFileSync(file, 'utf8'))?.[1] ?? 'unknown';
  } catch {
    return 'unknown';
  }
}

export async function describeMachine(): Promise<Machine> {
  const limits: LineProcess = limitsProcess();
  const instructions = await limits.ask('info');
  await limits.close();
  return {
    processor: firstMatch('/proc/cpuinfo', /^model name\s*:\s*(.*)$/m),
    cores: availableParallelism(),
    memoryBytes: totalmem(),
    instructions,
    cache: firstMatch('/sys/devices/system/cpu/cpu0/cache/index3/size', /(\S+)/),
    kernel: firstMatch('/proc/sys/kernel/osrelease', /(\S+)/),
    node: process.version,
    product: (require('../package.json') as { version: string }).version,
    onnxruntime: env.versions.node ?? 'unknown',
  };
}
