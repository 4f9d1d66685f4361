import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { onnxName } from '../peers/onnxruntime.js';
import { productName } from '../product.js';
import type { Case, Runner, Side, Unit } from '../types.js';
import type { PatchWork } from '../work.js';
import type { OnceReport } from '../once.js';

const script = fileURLToPath(new URL('../once.ts', import.meta.url));

/** A runner that computes `work` in a new process for each call; the process reports one figure. */
function inProcess(side: Side, name: string, work: PatchWork, figure: keyof OnceReport): Runner {
  return {
    side,
    name,
    variant: 'a process of its own',
    once: true,
    async sample(count) {
      const figures: number[] = [];
      for (let i = 0; i < count; i++) {
        const args = [...process.execArgv, script, name, JSON.stringify(work)];
        const { stdout } = await promisify(execFile)(process.execPath, args);
        figures.push((JSON.parse(stdout) as OnceReport)[figure]);
      }
      return figures;
    },
  };
}

export function processCases(work: PatchWork): Case[] {
  const figures: [id: string, figure: keyof OnceReport, unit: Unit, title: string][] = [
    ['load', 'load', 'ns', 'Loading library, weights and position table'],
    ['first-call', 'firstCall', 'ns', 'First forward of a process'],
    ['memory', 'peakBytes', 'bytes', 'Memory at its peak, five forwards'],
  ];
  return figures.map(([id, figure, unit, title]) => ({
    id,
    title: `${title}, PatchEmbed [32, 4, 64, 64]`,
    group: 'Process',
    unit,
    rounds: 5,
    note: id === 'memory' ? 'Beyond what the process had before it loaded the library.' : undefined,
    async runners({ peers }) {
      return [
        inProcess('product', productName, work, figure),
        ...(peers ? [inProcess('peer', onnxName, work, figure)] : []),
      ];
    },
  }));
}
