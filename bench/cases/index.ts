import { limit } from '../limits.js';
import { onnxRunners } from '../peers/onnxruntime.js';
import { pythonRunners } from '../peers/python.js';
import type { Case, CaseContext, Runner } from '../types.js';
import { sizeOf } from '../data.js';
import {
  dataOf,
  outputShape,
  workOf,
  type CaptionWork,
  type PatchWork,
  type TimestepWork,
} from '../work.js';
import { conditioningCase } from './conditioning.js';
import { eventLoopCase } from './event-loop.js';
import { familyCases } from './family.js';
import { productRunner, type LayerWork, type Manner } from './layers.js';
import { positionsCase } from './positions.js';
import { processCases } from './process.js';
import type { FloatDType } from '../product.js';

const dim = 1152; // Latte-XL

const halves = ['float16', 'bfloat16'];

type Ours = [dtype: FloatDType, manner: Manner];

const allDTypes: Ours[] = [
  ['float32', 'out'],
  ['float16', 'out'],
  ['bfloat16', 'out'],
];

const patchWorkOf = (id: 'patch-32' | 'patch-32-norm' | 'patch-2' | 'patch-1'): PatchWork =>
  workOf(id) as PatchWork;

/** A case of another size than those that the tests compare. */
function patchWork(batch: number, size: number, options: Partial<PatchWork> = {}): PatchWork {
  return { ...patchWorkOf('patch-1'), batch, height: size, width: size, ...options };
}

function captionWork(tokens: number): CaptionWork {
  return { ...(workOf('caption-120') as CaptionWork), tokens };
}

function timestepWork(rows: number): TimestepWork {
  return { ...(workOf('timestep-2') as TimestepWork), rows };
}

/** Multiplications and additions of the matrix products, which are nearly all of the work. */
function operationsOf(work: CaptionWork | TimestepWork): number {
  const rows = work.layer === 'CaptionProjection' ? work.batch * work.tokens : work.rows;
  return 2 * rows * weightsOf(work);
}

function weightsOf({ inFeatures, dim: outputs }: CaptionWork | TimestepWork): number {
  return inFeatures * outputs + outputs * outputs;
}

async function layerRunners(
  work: LayerWork,
  ours: Ours[],
  { threads, peers, python }: CaseContext,
  limits: Runner[],
): Promise<Runner[]> {
  const data = dataOf(work);
  const runners: Runner[] = [];
  for (const [dtype, manner] of ours) {
    runners.push(await productRunner(work, data, dtype, manner));
  }
  if (peers) {
    runners.push(...(await onnxRunners(work, data, threads)));
    runners.push(...(await pythonRunners(work, data, threads, python)));
  }
  return [...runners, ...limits];
}

function patchCase(
  id: string,
  title: string,
  work: PatchWork,
  ours: Ours[],
  more: Partial<Case> = {},
): Case {
  const bytes = sizeOf(outputShape(work)) * 4;
  return {
    id,
    title,
    group: 'PatchEmbed',
    unit: 'ns',
    runners: (context) =>
      layerRunners(
        work,
        ours,
        more.group === undefined ? context : { ...context, python: undefined },
        // Outputs that fit the caches are written into them; stores that bypass the caches would be slower.
        bytes < 8e6
          ? []
          : [
              limit('write', context.threads, bytes, `float32, ${megabytes(bytes)}`, ['float32']),
              limit(
                'write',
                context.threads,
                bytes / 2,
                `half types, ${megabytes(bytes / 2)}`,
                halves,
              ),
            ],
      ),
    ...more,
  };
}

const megabytes = (bytes: number): string => `${(bytes / 1e6).toPrecision(3)} MB`;

function captionCase(tokens: number): Case {
  const work = captionWork(tokens);
  const operations = operationsOf(work);
  const label = `${(operations / 1e9).toFixed(2)} GFLOP`;
  return {
    id: `caption-${tokens}`,
    title: `CaptionProjection [2, ${tokens}, 4096] → ${dim}`,
    group: 'CaptionProjection',
    unit: 'ns',
    runners: (context) =>
      layerRunners(work, allDTypes, context, [
        limit('fma', context.threads, operations, label, ['float32', 'float16']),
        limit('bf16', context.threads, operations, label, ['bfloat16']),
      ]),
  };
}

/** The machine's state when a small forward begins. */
type Condition = 'hot' | 'idle' | 'busy';

const idleMilliseconds = 25;
const conditions: Record<Condition, string> = {
  hot: 'hot',
  idle: `after ${idleMilliseconds} ms without work`,
  busy: 'on a busy machine',
};

/** The reading of `bytes` of float32 weights, which bounds a product with few rows. */
function readLimits(condition: Condition, bytes: number, threads: number): Runner[] {
  if (condition === 'busy') return [];
  const kind = condition === 'hot' ? 'read' : 'cold';
  const whole = `float32 weights, ${megabytes(bytes)}`;
  return [
    limit(kind, threads, bytes, whole, ['float32']),
    limit(kind, threads, bytes / 2, `half types, ${megabytes(bytes / 2)}`, halves),
    ...(kind === 'cold' && threads > 1 ? [limit(kind, 1, bytes, whole, [])] : []),
  ];
}

function timestepCase(rows: number, condition: Condition): Case {
  const work = timestepWork(rows);
  const bytes = weightsOf(work) * 4;
  return {
    id: `timestep-${rows}${condition === 'hot' ? '' : `-${condition}`}`,
    title: `TimestepEmbedding [${rows}, 256] → ${dim}, ${conditions[condition]}`,
    group: 'TimestepEmbedding',
    unit: 'ns',
    idle: condition === 'idle' ? idleMilliseconds : undefined,
    busy: condition === 'busy',
    runners: (context) =>
      layerRunners(
        work,
        [...allDTypes, ['float32', 'pooled'], ['float32', 'forward']],
        // Python's frameworks were compared at the two sizes that Latte asks for.
        condition !== 'busy' && (rows === 2 || rows === 32)
          ? context
          : { ...context, python: undefined },
        rows <= 4 ? readLimits(condition, bytes, context.threads) : [],
      ),
  };
}

const float32: Ours[] = [['float32', 'out']];

function growthCases(): Case[] {
  const sizes: [batch: number, size: number][] = [
    ...[1, 2, 4, 8, 16, 32].map((batch): [number, number] => [batch, 64]),
    ...[16, 32, 128, 256].map((size): [number, number] => [1, size]),
  ];
  return sizes.map(([batch, size]) =>
    patchCase(
      `growth-${batch}x${size}`,
      `PatchEmbed [${batch}, 4, ${size}, ${size}]`,
      patchWork(batch, size),
      float32,
      { group: 'Growth', rounds: 7 },
    ),
  );
}

/** Patches of other sizes than Latte's, which must use the fast path, too. */
function shapeCases(): Case[] {
  const shapes: [patch: number, channels: number, size: number][] = [
    [1, 4, 64],
    [1, 16, 64],
    [2, 3, 128],
    [2, 8, 128],
    [2, 16, 128],
    [4, 4, 256],
    [8, 3, 512],
    [14, 3, 896],
    [16, 3, 1024],
  ];
  return shapes.map(([patch, channels, size]) =>
    patchCase(
      `shape-p${patch}-c${channels}`,
      `PatchEmbed p = ${patch}, [4, ${channels}, ${size}, ${size}]`,
      patchWork(4, size, { patch, channels }),
      float32,
      { group: 'Other patches', rounds: 9 },
    ),
  );
}

/** All cases, in the order of the report. */
export function allCases(): Case[] {
  return [
    patchCase('patch-32', `PatchEmbed [32, 4, 64, 64] → 151 MB`, patchWorkOf('patch-32'), [
      ...allDTypes,
      ['float32', 'first use'],
      ['float32', 'forward'],
    ]),
    patchCase(
      'patch-32-norm',
      'PatchEmbed [32, 4, 64, 64] with layer norm',
      patchWorkOf('patch-32-norm'),
      allDTypes,
    ),
    patchCase('patch-2', 'PatchEmbed [2, 4, 128, 128] → 37.7 MB', patchWorkOf('patch-2'), [
      ...allDTypes,
      ['float32', 'pooled'],
    ]),
    patchCase('patch-1', 'PatchEmbed [1, 4, 64, 64] → 4.72 MB', patchWorkOf('patch-1'), [
      ...allDTypes,
      ['float32', 'pooled'],
      ['float32', 'forward'],
    ]),
    captionCase(120),
    captionCase(300),
    ...[1, 2, 3, 4, 32].flatMap((rows) =>
      (['hot', 'idle', 'busy'] as const).map((condition) => timestepCase(rows, condition)),
    ),
    positionsCase(dim, 64),
    conditioningCase({
      layer: 'Conditioning',
      steps: 50,
      patch: patchWorkOf('patch-32'),
      caption: captionWork(120),
    }),
    eventLoopCase(patchWorkOf('patch-32')),
    ...processCases(patchWorkOf('patch-32')),
    ...familyCases(),
    ...shapeCases(),
    ...growthCases(),
  ];
}
