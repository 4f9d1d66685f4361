import type { AnyLayer, Tensor } from 'latte-embeddings';
import { elementsOf, itemSize, type WireTensor } from '../protocol/tensor.js';
import { specOf, type LayerSpec, type Results, type Shapes } from './layer-specs.js';
import type { Job, Model, RunTimes, TensorSpec, Weights } from './model.js';
import { concatenate, stopwatch, takeRows } from './rows.js';

type Inputs = ReadonlyMap<string, WireTensor>;

/** One layer of a checkpoint. Requests whose rows the layer computes independently share a run. */
export class LayerModel<W extends Weights> implements Model {
  readonly name: string;
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
  readonly #layerOf: (weights: W) => AnyLayer;
  readonly #spec: LayerSpec;

  /**
   * @param layerOf finds the layer in the weights of a device.
   * @param config the fields of the checkpoint's config.json.
   */
  constructor(
    name: string,
    weights: W,
    layerOf: (weights: W) => AnyLayer,
    config: Readonly<Record<string, unknown>>,
  ) {
    this.name = name;
    this.#layerOf = layerOf;
    this.#spec = specOf(layerOf(weights), config);
    this.inputs = this.#spec.inputs;
    this.outputs = this.#spec.outputs;
  }

  plan(inputs: Inputs, wanted: ReadonlySet<string>): Job {
    const given = shapesOf(inputs);
    const results = this.#spec.shapesOf(given);
    const elements = Object.values(results).reduce((sum, shape) => sum + elementsOf(shape), 0);
    const [first] = this.outputs;
    // The results, and their copies in the answer.
    const copies = 2 * elements * itemSize(first!.datatype);
    return {
      model: this,
      inputs,
      wanted,
      rows: Math.max(...Object.values(results).map((shape) => elementsOf(shape.slice(0, -1)))),
      bytes: copies + (this.#spec.scratchBytes?.(results) ?? 0),
      batchKey: this.#spec.canShare(given) ? keyOf(inputs) : undefined,
    };
  }

  async run(
    weights: W,
    jobs: readonly Job[],
    signal: AbortSignal,
    times: RunTimes,
  ): Promise<WireTensor[][]> {
    const took = stopwatch(times);
    const given: Record<string, Tensor> = {};
    let results: Results = {};
    try {
      for (const { name, shape } of this.inputs) {
        const parts = jobs.flatMap(({ inputs }) => inputs.get(name) ?? []);
        if (parts.length > 0) given[name] = join(parts, shape);
      }
      took('input');
      results = await this.#spec.forward(this.#layerOf(weights), given, { signal });
      took('infer');
      return await this.#answers(jobs, results);
    } finally {
      took('output');
      for (const tensor of Object.values(given)) tensor.dispose();
      for (const tensor of Object.values(results)) tensor?.dispose();
    }
  }

  /** The outputs of each job: its own rows of the results. */
  async #answers(jobs: readonly Job[], results: Results): Promise<WireTensor[][]> {
    const shapes = jobs.map(({ inputs }) => this.#spec.shapesOf(shapesOf(inputs)));
    const answers: WireTensor[][] = jobs.map(() => []);
    for (const { name, datatype } of this.outputs) {
      const result = results[name];
      if (result == null) continue;
      const lengths = shapes.map((each) => each[name]!);
      const rows = await takeRows(
        result,
        lengths.map((shape) => elementsOf(shape.slice(0, -1))),
      );
      for (const [i, { wanted }] of jobs.entries()) {
        if (!wanted.has(name)) continue;
        answers[i]!.push({ name, datatype, shape: lengths[i]!, bytes: rows[i]! });
      }
    }
    return answers;
  }
}

function shapesOf(inputs: Inputs): Shapes {
  return Object.fromEntries([...inputs].map(([name, { shape }]) => [name, shape]));
}

/** Requests with the same inputs of the same datatypes may share a run. */
function keyOf(inputs: Inputs): string {
  const parts = [...inputs].map(([name, { datatype }]) => `${name} ${datatype}`);
  return parts.sort().join(', ');
}

/**
 * One input of all jobs of a run. Of several jobs the rows are concatenated: those of all leading axes
 * that have any length in `spec`.
 */
function join(parts: readonly WireTensor[], spec: readonly number[]): Tensor {
  const [{ datatype, shape }] = parts as [WireTensor];
  const bytes = parts.map((part) => part.bytes);
  if (parts.length === 1) return concatenate(bytes, datatype, shape);
  const free = spec.findIndex((length) => length !== -1);
  const axes = free === -1 ? spec.length : free;
  const rows = parts.reduce((sum, part) => sum + elementsOf(part.shape.slice(0, axes)), 0);
  const leading = [...new Array<number>(axes - 1).fill(1), rows];
  return concatenate(bytes, datatype, [...leading, ...shape.slice(axes)]);
}
