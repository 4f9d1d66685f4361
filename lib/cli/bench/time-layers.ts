import type { FloatDType, Tensor } from '../../index.js';
import { resultsOf } from '../layer-results.js';
import { randomNormal } from '../random.js';
import { benchRows, type BenchRow, type Sizes } from './layer-rows.js';

// Measures how long a forward of each layer takes on a device, with inputs and results on that device.

type Library = typeof import('../../index.js');

export interface Timing {
  layer: string;
  /** The model whose sizes these are. */
  model: string;
  dtype: FloatDType;
  /**
   * `median` and `least`: of forwards that were awaited one by one. `queued`: of as many forwards
   * that were started together, divided by their number. Undefined after an error.
   */
  milliseconds?: { median: number; least: number; queued: number };
  error?: string;
  code?: string;
}

/** A layer with its weights and inputs. */
interface Prepared {
  forward(): Promise<Tensor[]>;
  dispose(): void;
}

/** Makes a layer with random weights and its inputs, on a device. */
async function prepare(
  library: Library,
  { make, inputs, isNamed }: BenchRow,
  device: string,
  dtype: FloatDType,
): Promise<Prepared> {
  const tensor = (name: string, shape: readonly number[]): Tensor => {
    const count = shape.reduce((product, length) => product * length, 1);
    return new library.Tensor('float32', randomNormal(count, 0, `bench ${name}`), shape);
  };
  const layer = make({ device, dtype });
  const made: Tensor[] = [];
  const weights = layer.parameters().filter(({ required }) => required);
  layer.loadStateDict(new Map(weights.map(({ name, shape }) => [name, tensor(name, shape)])));
  const given: Record<string, unknown> = {};
  for (const [name, input] of Object.entries(inputs)) {
    if ('lengths' in input) {
      const onDevice = await tensor(name, input.lengths).to({ device, dtype });
      made.push(onDevice);
      given[name] = onDevice;
    } else {
      given[name] = input;
    }
  }
  const args = isNamed ? [given] : Object.values(given);
  return {
    forward: async () => resultsOf(await layer.forward(...args)),
    dispose: () => {
      layer.dispose();
      for (const each of made) each.dispose();
    },
  };
}

const dispose = (tensors: Tensor[]): void => tensors.forEach((tensor) => tensor.dispose());

async function time(layer: Prepared, most: number): Promise<NonNullable<Timing['milliseconds']>> {
  let once = 0;
  for (let i = 0; i < 3; i++) {
    const begin = performance.now();
    dispose(await layer.forward());
    once = performance.now() - begin;
  }
  const repetitions = Math.min(most, Math.max(5, Math.ceil(1000 / once)));
  const alone: number[] = [];
  for (let i = 0; i < repetitions; i++) {
    const begin = performance.now();
    const results = await layer.forward();
    alone.push(performance.now() - begin);
    dispose(results);
  }
  alone.sort((a, b) => a - b);
  const begin = performance.now();
  await Promise.all(
    Array.from({ length: repetitions }, async () => dispose(await layer.forward())),
  );
  const queued = (performance.now() - begin) / repetitions;
  const rounded = (value: number): number => Math.round(value * 1000) / 1000;
  return {
    median: rounded(alone[alone.length >> 1]!),
    least: rounded(alone[0]!),
    queued: rounded(queued),
  };
}

/**
 * Measures every layer in each of `dtypes`, one after another.
 * @param show called before each with the share that is done, from 0 to 1, and the layer's name.
 */
export async function timeLayers(
  library: Library,
  sizes: Sizes,
  device: string,
  dtypes: readonly FloatDType[],
  show: (done: number, activity: string) => void,
): Promise<Timing[]> {
  const timings: Timing[] = [];
  const rows = Object.entries(benchRows(library, sizes));
  for (const [layer, row] of rows) {
    const { model } = row;
    for (const dtype of dtypes) {
      show(timings.length / (rows.length * dtypes.length), `${layer} ${dtype} (${model})`);
      try {
        const prepared = await prepare(library, row, device, dtype);
        try {
          timings.push({
            layer,
            model,
            dtype,
            milliseconds: await time(prepared, sizes.repetitions),
          });
        } finally {
          prepared.dispose();
        }
      } catch (error) {
        // The chip may not compute in this dtype, for example. The other layers are still measured.
        if (!(error instanceof library.LatteError)) throw error;
        if (error.code === 'ERR_DEVICE_UNAVAILABLE') throw error;
        timings.push({ layer, model, dtype, error: error.message, code: error.code });
      }
    }
  }
  return timings;
}
