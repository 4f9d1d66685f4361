import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { familyPositions } from '../family-work.js';
import { LineProcess } from '../line-process.js';
import { missingPeers } from '../measure.js';
import type { Runner } from '../types.js';
import { type Data } from '../data.js';
import { positionTable, timestepsOf, type Work } from '../work.js';
import { modelsOf } from './onnx-layers.js';

const folder = fileURLToPath(new URL('../python', import.meta.url));

interface PythonPeer {
  framework: 'torch' | 'mindspore' | 'openvino';
  name: string;
  dtype: 'float32' | 'bfloat16';
}

const peers: PythonPeer[] = [
  { framework: 'torch', name: 'PyTorch', dtype: 'float32' },
  { framework: 'torch', name: 'PyTorch bfloat16', dtype: 'bfloat16' },
  { framework: 'mindspore', name: 'MindSpore', dtype: 'float32' },
  { framework: 'openvino', name: 'OpenVINO', dtype: 'float32' },
  { framework: 'openvino', name: 'OpenVINO bfloat16', dtype: 'bfloat16' },
];

interface Loaded {
  version?: string;
  error?: string;
}

/** Writes each array into a file of its own, and a job.json that lists them. */
function writeJob(to: string, work: Work, data: Data, job: object): void {
  const arrays = { ...data.weights, ...data.inputs };
  if (work.layer === 'PatchEmbed' || work.layer === 'Conditioning') {
    const patch = work.layer === 'PatchEmbed' ? work : work.patch;
    const table = positionTable(patch);
    arrays.positions = { data: table, shape: [1, table.length / patch.dim, patch.dim] };
  }
  if (work.layer === 'Family' && 'proj.weight' in data.weights) {
    const table = familyPositions(work, data);
    const dim = data.weights['proj.weight'].shape[0]!;
    if (table !== undefined) {
      arrays.positions = { data: table, shape: [1, table.length / dim, dim] };
    }
  }
  for (const [name, { data: values }] of Object.entries(arrays)) {
    writeFileSync(join(to, `${name}.bin`), values);
  }
  const shapes = Object.fromEntries(
    Object.entries(arrays).map(([name, { shape }]) => [name, shape]),
  );
  const models = modelsOf(work, data).map(({ bytes, variant }, i) => {
    writeFileSync(join(to, `model-${i}.onnx`), bytes);
    return variant;
  });
  const timesteps = work.layer === 'Conditioning' ? timestepsOf(work) : [];
  const inputs = Object.keys(data.inputs);
  writeFileSync(
    join(to, 'job.json'),
    JSON.stringify({ work, shapes, models, inputs, timesteps, ...job }),
  );
}

/** A runner whose Python program computes, measures its own time, and returns its result. */
function runnerOf(
  child: LineProcess,
  to: string,
  about: Pick<Runner, 'name' | 'variant' | 'tolerance'>,
): Runner {
  return {
    side: 'peer',
    ...about,
    async sample(count) {
      return JSON.parse(await child.ask(`run ${count}`)) as number[];
    },
    async result() {
      await child.ask('result');
      const bytes = readFileSync(join(to, 'result.bin'));
      return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
    },
    async close() {
      await child.close();
      rmSync(to, { recursive: true, force: true });
    },
  };
}

async function start(
  python: string,
  program: string,
  to: string,
  name: string,
): Promise<{ child: LineProcess; version: string } | undefined> {
  const child = new LineProcess(python, [join(folder, program), to]);
  let loaded: Loaded;
  try {
    loaded = JSON.parse(await child.ask('load')) as Loaded;
  } catch (error) {
    loaded = { error: (error as Error).message };
  }
  if (loaded.error === undefined) return { child, version: loaded.version! };
  await child.close();
  rmSync(to, { recursive: true, force: true });
  missingPeers.push(`${name}: ${loaded.error}`);
  return undefined;
}

const temporary = (): string => mkdtempSync(join(tmpdir(), 'latte-bench-'));

/** PyTorch, MindSpore and OpenVINO, if they are installed, each in a process of its own. */
export async function pythonRunners(
  work: Work,
  data: Data,
  threads: number,
  python: string | undefined,
): Promise<Runner[]> {
  if (python === undefined) return [];
  const runners: Runner[] = [];
  for (const { framework, name, dtype } of peers) {
    // Half precision is measured only if matrix products take the time. Patches are limited by memory.
    const products = work.layer === 'CaptionProjection' || work.layer === 'TimestepEmbedding';
    if (dtype !== 'float32' && !products) continue;
    if (framework === 'mindspore' && work.layer === 'Conditioning') {
      missingPeers.push(`${name}: seconds for each step’s PatchEmbed alone, as measured above`);
      continue;
    }
    // layers_mindspore.py has only Latte's layers.
    if (framework === 'mindspore' && work.layer === 'Family') continue;
    const graphs = framework === 'openvino' ? modelsOf(work, data).length : 1;
    for (let model = 0; model < graphs; model++) {
      const to = temporary();
      writeJob(to, work, data, { framework, dtype, threads, model });
      const started = await start(python, 'peer.py', to, name);
      if (started === undefined) break;
      const graph = graphs > 1 ? `${modelsOf(work, data)[model]!.variant}, ` : '';
      runners.push(
        runnerOf(started.child, to, {
          name,
          variant: `${started.version}, ${graph}${threads} threads`,
          tolerance: dtype === 'float32' ? 1e-3 : 4e-2,
        }),
      );
    }
  }
  return runners;
}

/** The reference's own formula in numpy: computed in float64 as there, then cast to float32. */
export async function numpyPositions(
  dim: number,
  size: number,
  python: string | undefined,
): Promise<Runner[]> {
  if (python === undefined) return [];
  const to = temporary();
  writeFileSync(join(to, 'job.json'), JSON.stringify({ dim, size }));
  const started = await start(python, 'positions.py', to, 'numpy');
  if (started === undefined) return [];
  return [runnerOf(started.child, to, { name: 'numpy', variant: started.version })];
}
