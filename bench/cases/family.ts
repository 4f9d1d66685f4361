import { joined, sizeOf, type Data } from '../data.js';
import {
  familyData,
  familyOperations,
  familyOutputs,
  familyWork,
  type FamilyWork,
  type ModelName,
} from '../family-work.js';
import { limit } from '../limits.js';
import { clocked } from '../measure.js';
import { onnxRunners } from '../peers/onnxruntime.js';
import { pythonRunners } from '../peers/python.js';
import { library, productName, Tensor, type FloatDType, type TensorType } from '../product.js';
import type { Case, Runner } from '../types.js';
import { modelCases } from '../../test/parity/model-cases.js';
import { tolerances, variantOf } from './layers.js';

interface Layer {
  forwardSync(...inputs: unknown[]): TensorType | Record<string, TensorType | null>;
  loadStateDict(weights: Record<string, TensorType>): void;
  dispose(): void;
}

/** Layers that take their inputs one after another; the others take an object. */
const byPosition = [
  'PatchEmbed',
  'PatchEmbed3d',
  'CogVideoXPatchEmbed',
  'Linear',
  'PixArtAlphaTextProjection',
];

function tensorsOf(result: ReturnType<Layer['forwardSync']>): TensorType[] {
  return result instanceof Tensor ? [result] : Object.values(result).filter((t) => t !== null);
}

async function productRunner(work: FamilyWork, data: Data, dtype: FloatDType): Promise<Runner> {
  const Class = library[work.op] as unknown as new (options: object) => Layer;
  const layer = new Class({ ...work.options, device: 'cpu', dtype });
  const tensorOf = ({ data: values, shape }: Data['weights'][string]): TensorType =>
    new Tensor('float32', values, shape);
  layer.loadStateDict(
    Object.fromEntries(
      Object.entries(data.weights).map(([name, array]) => [name, tensorOf(array)]),
    ),
  );
  const inputs: Record<string, TensorType> = {};
  for (const [name, array] of Object.entries(data.inputs)) {
    // Timesteps and guidance are numbers, which stay float32.
    const numbers = work.inputs[name]!.values !== undefined;
    inputs[name] = await tensorOf(array).to(numbers ? { device: 'cpu' } : { dtype });
  }
  const given = byPosition.includes(work.op) ? Object.values(inputs) : [inputs];
  const first = layer.forwardSync(...given);
  const results = tensorsOf(first);
  const out =
    first instanceof Tensor
      ? first
      : Object.fromEntries(Object.entries(first).filter(([, tensor]) => tensor !== null));
  const run = (): void => void layer.forwardSync(...given, { out });
  return {
    side: 'product',
    dtype,
    name: productName,
    variant: variantOf(dtype, 'out'),
    tolerance: tolerances[dtype],
    sample: (count) => clocked(count, run),
    result() {
      run();
      return joined(results.map((tensor) => tensor.toFloat32Array()));
    },
    close() {
      for (const tensor of [...results, ...Object.values(inputs)]) tensor.dispose();
      layer.dispose();
    },
  };
}

/**
 * The machine's limits. Those of float32 also hold for half types, unless the processor multiplies
 * bfloat16.
 */
function limitsOf(work: FamilyWork, data: Data, threads: number): Runner[] {
  const bytes =
    Object.values(familyOutputs(work)).reduce((sum, shape) => sum + sizeOf(shape), 0) * 4;
  const operations = familyOperations(work, data);
  const weights =
    Object.values(data.weights).reduce((sum, { shape }) => sum + sizeOf(shape), 0) * 4;
  const runners = [
    limit('fma', threads, operations, `${(operations / 1e9).toPrecision(3)} GFLOP`, [
      ...['float32', 'float16', 'bfloat16'],
    ]),
  ];
  const megabytes = (count: number): string => `${(count / 1e6).toPrecision(3)} MB`;
  // Smaller outputs are written into the caches, so that this limit does not hold for them.
  if (bytes >= 8e6) {
    runners.push(
      limit('write', threads, bytes, `float32, ${megabytes(bytes)}`, ['float32']),
      limit('write', threads, bytes / 2, `half types, ${megabytes(bytes / 2)}`, [
        ...['float16', 'bfloat16'],
      ]),
    );
  }
  // With a few rows every weight is read for few products, so that reading is the limit.
  if (operations < 8 * weights) {
    runners.push(
      limit('read', threads, weights, `float32 weights, ${megabytes(weights)}`, ['float32']),
      limit('read', threads, weights / 2, `half types, ${megabytes(weights / 2)}`, [
        ...['float16', 'bfloat16'],
      ]),
    );
  }
  return runners;
}

const dtypes: FloatDType[] = ['float32', 'float16', 'bfloat16'];

export function familyCases(): Case[] {
  return (Object.keys(modelCases) as ModelName[]).map((id) => {
    const work = familyWork(id);
    const shapes = Object.values(work.inputs).map(({ shape }) => `[${shape.join(', ')}]`);
    return {
      id,
      title: `${work.op} ${shapes.join(', ')} (${work.model})`,
      group: 'Sibling models',
      unit: 'ns',
      rounds: 11,
      async runners({ threads, peers, python }) {
        const data = familyData(work);
        const runners: Runner[] = [];
        for (const dtype of dtypes) runners.push(await productRunner(work, data, dtype));
        if (peers) {
          runners.push(...(await onnxRunners(work, data, threads)));
          runners.push(...(await pythonRunners(work, data, threads, python)));
        }
        return [...runners, ...limitsOf(work, data, threads)];
      },
    };
  });
}
