import { LatteError, type DType, type Tensor } from '../../lib/index.js';
import { exact, sizeOf, type Approx } from '../reference/array.js';
import type { Float } from '../reference/rounding.js';
import * as compare from '../support/compare.js';
import { computes } from '../support/devices.js';
import { uniform } from '../support/random.js';
import { quantized, stateDict, tensorOf, valuesOf } from '../support/tensors.js';
import type { AnyLayer, Inputs, Operation } from './operation.js';
import { operations, type OperationName } from './operations.js';

/** An input: its shape, and its numbers if it must have certain ones. */
export interface InputCase {
  shape: number[];
  /** Default: the case's own dtype. */
  dtype?: DType;
  values?: number[];
  /** Random numbers lie within ±limit. Default: 1. */
  limit?: number;
}

/** One row of the table. */
export interface Case {
  op: OperationName;
  /** The dtype of the layer, or of a function's result. */
  dtype: DType;
  /** What is particular about this case. */
  note: string;
  options: Readonly<Record<string, unknown>>;
  inputs?: Readonly<Record<string, InputCase>>;
  /** Parameters beside the required ones (a loaded `pos_embed`). */
  extraParameters?: readonly [string, number[]][];
}

export function nameOf(c: Case): string {
  const shapes = Object.values(c.inputs ?? {}).map(({ shape }) => `[${shape.join(',')}]`);
  return [c.op, c.dtype, ...shapes, c.note].join(' ');
}

function operationOf(c: Case): Operation {
  return operations[c.op];
}

/** The inputs of a case, as exact numbers. */
function inputsOf(c: Case): Record<string, { dtype: DType; array: Approx }> {
  return Object.fromEntries(
    Object.entries(c.inputs ?? {}).map(([name, { shape, dtype = c.dtype, values, limit }]) => {
      const given =
        values === undefined
          ? uniform(`${nameOf(c)} ${name}`, sizeOf(shape), limit)
          : Float64Array.from(values);
      return [name, { dtype, array: exact(shape, quantized(dtype, given)) }];
    }),
  );
}

/**
 * The weights of a case as exact numbers of its dtype, scaled so that results are about as large as inputs.
 */
export function weightsOf(c: Case): Record<string, Approx> {
  const { layer } = operationOf(c);
  const names = [...(layer?.parameters(c.options as never) ?? []), ...(c.extraParameters ?? [])];
  return Object.fromEntries(
    names.map(([name, shape]) => {
      const fanIn = Math.max(1, sizeOf(shape.slice(1)));
      const limit = name.endsWith('.weight') ? Math.sqrt(3 / fanIn) : 0.5;
      return [
        name,
        exact(shape, quantized(c.dtype, uniform(`${nameOf(c)} ${name}`, sizeOf(shape), limit))),
      ];
    }),
  );
}

/** Makes a case's layer, with its weights loaded. */
export function layerOf(c: Case, device: string): AnyLayer {
  const layer = operationOf(c).layer!.make(c.options as never, device, c.dtype);
  layer.loadStateDict(stateDict(c.dtype, weightsOf(c)));
  return layer;
}

export function tensorsOf(c: Case): Inputs<Tensor> {
  return Object.fromEntries(
    Object.entries(inputsOf(c)).map(([name, { dtype, array }]) => [
      name,
      tensorOf(dtype, array.shape, array.value),
    ]),
  );
}

export type Way = 'forward' | 'forwardSync';

/** Moves a named input to the place that a test needs: host, caller's array, or device. */
export type Place = (name: string, tensor: Tensor) => Promise<Tensor> | Tensor;

/** The ways to call a case. A function has only one. */
export function waysOf(c: Case): readonly Way[] {
  return operationOf(c).call === undefined ? ['forward', 'forwardSync'] : ['forward'];
}

/** The results of a case on a device in each of these ways, all from the same layer. */
export async function compute(
  c: Case,
  device: string,
  ways: readonly Way[],
  place?: Place,
): Promise<Tensor[][]> {
  const { call, layer } = operationOf(c);
  const inputs = { ...tensorsOf(c) };
  if (place !== undefined) {
    for (const name of Object.keys(inputs)) inputs[name] = await place(name, inputs[name]!);
  }
  if (call !== undefined) return ways.map(() => [call(c.options as never, inputs, c.dtype)]);
  const made = layerOf(c, device);
  const results: Tensor[][] = [];
  for (const way of ways) results.push(await layer![way](made, inputs, c.options as never));
  made.dispose();
  return results;
}

/** The weights and inputs of a case, as the reference takes them. */
export function operandsOf(c: Case): {
  weights: Record<string, Approx>;
  inputs: Record<string, Approx>;
} {
  const inputs = Object.entries(inputsOf(c)).map(([name, { array }]) => [name, array] as const);
  return { weights: weightsOf(c), inputs: Object.fromEntries(inputs) };
}

/** The reference's result of a case that a device computes. */
export function expectedOf(c: Case, device: string): Approx[] {
  const { weights, inputs } = operandsOf(c);
  return operationOf(c).expected(c.options as never, weights, inputs, c.dtype as Float, device);
}

/** The dtype of a case's results: the forward's hiddenDtype if given. */
export function resultDtype(c: Case): DType {
  return (c.options.hiddenDtype as DType | undefined) ?? c.dtype;
}

/** Describes what is wrong with a result; undefined if it is right. */
export async function problem(
  c: Case,
  result: Tensor,
  expected: Approx,
  device: string,
): Promise<string | undefined> {
  const dtype = resultDtype(c);
  if (result.dtype !== dtype) return `dtype is ${result.dtype} instead of ${dtype}`;
  const home = operationOf(c).call === undefined ? device : 'cpu';
  if (result.device !== home) return `device is ${result.device} instead of ${home}`;
  const shapes = [result.shape, expected.shape].map((shape) => `[${shape.join(', ')}]`);
  if (shapes[0] !== shapes[1]) return `shape is ${shapes[0]} instead of ${shapes[1]}`;
  const here = result.device === 'cpu' ? result : await result.to('cpu');
  return compare.near(valuesOf(here), expected, dtype as Float);
}

/** Whether a device must refuse the case because of its dtypes. */
function isRefused(c: Case, device: string): boolean {
  const layer = operationOf(c).call === undefined && c.op !== 'Timesteps';
  return (
    layer &&
    (!computes(device, c.dtype) || (resultDtype(c) === 'bfloat16' && !computes(device, 'bfloat16')))
  );
}

/**
 * Runs a case in these ways and compares. A device that does not compute in its dtype must throw ERR_DTYPE.
 */
export async function check(
  c: Case,
  device: string,
  ways = waysOf(c),
  place?: Place,
): Promise<void> {
  if (!isRefused(c, device)) return compareAll(c, device, ways, place);
  try {
    await compute(c, device, ways);
  } catch (error) {
    if (error instanceof LatteError && error.code === 'ERR_DTYPE') return;
    throw error;
  }
  throw new Error(`${nameOf(c)} was not refused`);
}

/** Throws an error that describes the first wrong result. */
async function compareAll(
  c: Case,
  device: string,
  ways: readonly Way[],
  place?: Place,
): Promise<void> {
  const expected = expectedOf(c, device);
  const all = await compute(c, device, ways, place);
  for (const [w, results] of all.entries()) {
    if (results.length !== expected.length) throw new Error(`${results.length} results`);
    for (const [i, result] of results.entries()) {
      const message = await problem(c, result, expected[i]!, device);
      result.dispose();
      if (message !== undefined)
        throw new Error(`${ways[w]}, result ${i} of ${nameOf(c)}: ${message}`);
    }
  }
}
