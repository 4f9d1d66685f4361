import type { LatteConfig, LatteEmbeddings } from 'latte-embeddings';
import { invalid } from '../protocol/errors.js';
import {
  datatypeOf,
  floatDatatypes,
  itemSize,
  numberDatatypes,
  type Datatype,
  type WireTensor,
} from '../protocol/tensor.js';
import type { Job, Model, RunTimes, TensorSpec } from './model.js';
import { embedSteps, floatsOf, stopwatch, takeRows, tileRows, type StepRows } from './rows.js';

type Inputs = ReadonlyMap<string, WireTensor>;

/** The inputs for sizes; none if the checkpoint has no size conditions. */
export function sizeSpecs(config: LatteConfig): TensorSpec[] {
  if (!config.useAdditionalConditions) return [];
  return [
    { name: 'resolution', datatype: 'FP32', accepts: numberDatatypes, shape: [-1, 2] },
    { name: 'aspect_ratio', datatype: 'FP32', accepts: numberDatatypes, shape: [-1, 1] },
  ];
}

export function captionSpec(config: LatteConfig, datatype: Datatype): TensorSpec {
  const shape = [-1, -1, config.captionChannels ?? -1];
  return { name: 'caption', datatype, accepts: floatDatatypes, shape };
}

/** Checks that the rows of the inputs `names` divide `rows`. @throws ProtocolError 'invalid'. */
export function checkTiles(inputs: Inputs, names: readonly string[], rows: number): void {
  for (const name of names) {
    const given = inputs.get(name)!.shape[0]!;
    if (given === 0 ? rows !== 0 : rows % given !== 0) {
      throw invalid(`input "${name}" has ${given} rows, which do not divide the batch of ${rows}`);
    }
  }
}

/** AdaLayerNormSingle: timestep [N] and sizes [b, …] → modulation [N, 6D], embedded_timestep [N, D]. */
export class AdaLayerNormSingleModel implements Model {
  readonly name = 'ada_layer_norm_single';
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
  readonly #sizes: readonly string[];

  constructor(latte: LatteEmbeddings) {
    const { innerDim } = latte.config;
    const datatype = datatypeOf(latte.adaLayerNormSingle.dtype);
    const sizes = sizeSpecs(latte.config);
    this.#sizes = sizes.map(({ name }) => name);
    this.inputs = [
      { name: 'timestep', datatype: 'FP32', accepts: numberDatatypes, shape: [-1] },
      ...sizes,
    ];
    this.outputs = [
      { name: 'modulation', datatype, shape: [-1, 6 * innerDim] },
      { name: 'embedded_timestep', datatype, shape: [-1, innerDim] },
    ];
  }

  plan(inputs: Inputs, wanted: ReadonlySet<string>): Job {
    const steps = inputs.get('timestep')!.shape[0]!;
    const sizes = this.#sizes.map((name) => inputs.get(name)!.shape[0]!);
    // A single timestep is used for every row of sizes.
    const rows = steps === 1 ? Math.max(1, ...sizes) : steps;
    checkTiles(inputs, this.#sizes, rows);
    const width = this.outputs.reduce((sum, { shape }) => sum + shape[1]!, 0);
    const bytes = 2 * rows * width * itemSize(this.outputs[0]!.datatype);
    return { model: this, inputs, wanted, rows, bytes, batchKey: '' };
  }

  async run(
    latte: LatteEmbeddings,
    jobs: readonly Job[],
    signal: AbortSignal,
    times: RunTimes,
  ): Promise<WireTensor[][]> {
    const took = stopwatch(times);
    const steps = jobs.map(({ inputs, rows }) =>
      stepRows(inputs, tileRows(floatsOf(inputs.get('timestep')!), 1, rows), rows),
    );
    took('input');
    const result = await embedSteps(latte, steps, signal);
    took('infer');
    const counts = jobs.map((job) => job.rows);
    const [modulation, embedded] = await Promise.all([
      takeRows(result.modulation, counts),
      takeRows(result.embeddedTimestep, counts),
    ]);
    took('output');
    return jobs.map(({ wanted, rows }, i) =>
      this.outputs
        .map(({ name, datatype, shape }) => ({
          name,
          datatype,
          shape: [rows, shape[1]!],
          bytes: (name === 'modulation' ? modulation : embedded)[i]!,
        }))
        .filter(({ name }) => wanted.has(name)),
    );
  }
}

/** The rows of one request; its sizes are repeated a, b, a, b … over the rows. */
export function stepRows(inputs: Inputs, timesteps: Float32Array, rows: number): StepRows {
  const resolution = inputs.get('resolution');
  const aspectRatio = inputs.get('aspect_ratio');
  return {
    timesteps,
    resolution: resolution && tileRows(floatsOf(resolution), 2, rows),
    aspectRatio: aspectRatio && tileRows(floatsOf(aspectRatio), 1, rows),
  };
}
