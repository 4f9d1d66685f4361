import type { LatteConfig, LatteEmbeddings } from 'latte-embeddings';
import { invalid } from '../protocol/errors.js';
import {
  datatypeOf,
  floatDatatypes,
  itemSize,
  type Datatype,
  type WireTensor,
} from '../protocol/tensor.js';
import type { Job, Model, RunTimes, TensorSpec } from './model.js';
import {
  concatenate,
  embedSteps,
  floatsOf,
  projectCaptions,
  stopwatch,
  takeRows,
  tileRows,
  type StepRows,
} from './rows.js';

type Inputs = ReadonlyMap<string, WireTensor>;

/** The datatypes that timesteps and sizes may have. */
export const numberDatatypes: readonly Datatype[] = ['FP32', 'FP16', 'BF16', 'INT64', 'INT32'];

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

/** The caption projection: caption [B, L, K] → encoder_hidden_states [B, L, D]. */
export class CaptionProjectionModel implements Model {
  readonly name = 'caption_projection';
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
  readonly #dim: number;

  constructor(latte: LatteEmbeddings) {
    const datatype = datatypeOf(latte.adaLayerNormSingle.dtype);
    this.#dim = latte.config.innerDim;
    this.inputs = [captionSpec(latte.config, datatype)];
    this.outputs = [{ name: 'encoder_hidden_states', datatype, shape: [-1, -1, this.#dim] }];
  }

  plan(inputs: Inputs, wanted: ReadonlySet<string>): Job {
    const { shape, datatype } = inputs.get('caption')!;
    const rows = shape[0]! * shape[1]!;
    const bytes = 2 * rows * this.#dim * itemSize(this.outputs[0]!.datatype);
    return { model: this, inputs, wanted, rows, bytes, batchKey: datatype };
  }

  async run(
    latte: LatteEmbeddings,
    jobs: readonly Job[],
    signal: AbortSignal,
    times: RunTimes,
  ): Promise<WireTensor[][]> {
    const took = stopwatch(times);
    const captions = jobs.map(({ inputs }) => inputs.get('caption')!);
    const result = await projectCaptions(latte, captions, signal);
    took('infer');
    const rows = await takeRows(
      result,
      jobs.map((job) => job.rows),
    );
    took('output');
    const { name, datatype } = this.outputs[0]!;
    return captions.map(({ shape }, i) => [
      { name, datatype, shape: [shape[0]!, shape[1]!, this.#dim], bytes: rows[i]! },
    ]);
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

/**
 * PatchEmbed: latent [B, C, H, W] → tokens [B, N, D]. Requests do not share a run, because memory limits
 * the speed and a batch would not be quicker.
 */
export class PatchEmbedModel implements Model {
  readonly name = 'patch_embed';
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
  readonly #patchSize: number;

  constructor(latte: LatteEmbeddings) {
    const { inChannels, innerDim, patchSize } = latte.config;
    const datatype = datatypeOf(latte.patchEmbed.dtype);
    this.#patchSize = patchSize;
    this.inputs = [
      { name: 'latent', datatype, accepts: floatDatatypes, shape: [-1, inChannels, -1, -1] },
    ];
    this.outputs = [{ name: 'tokens', datatype, shape: [-1, -1, innerDim] }];
  }

  plan(inputs: Inputs, wanted: ReadonlySet<string>): Job {
    const { shape } = inputs.get('latent')!;
    const tokens = this.#tokens(shape);
    if (tokens === 0) {
      throw invalid(
        `input "latent" must be at least ${this.#patchSize} high and wide, but has ${shape[2]} × ${shape[3]}`,
      );
    }
    const rows = shape[0]! * tokens;
    const width = this.outputs[0]!.shape[2]!;
    // The result, and the position table, which is float64 while it is computed.
    const bytes = rows * width * itemSize(this.outputs[0]!.datatype) + tokens * width * 8;
    return { model: this, inputs, wanted, rows, bytes, batchKey: undefined };
  }

  #tokens(shape: readonly number[]): number {
    return Math.floor(shape[2]! / this.#patchSize) * Math.floor(shape[3]! / this.#patchSize);
  }

  async run(
    latte: LatteEmbeddings,
    jobs: readonly Job[],
    signal: AbortSignal,
    times: RunTimes,
  ): Promise<WireTensor[][]> {
    const { name, datatype, shape: outputShape } = this.outputs[0]!;
    const answers: WireTensor[][] = [];
    for (const { inputs } of jobs) {
      const took = stopwatch(times);
      const latent = inputs.get('latent')!;
      using input = concatenate([latent.bytes], latent.datatype, latent.shape);
      took('input');
      const result = await latte.patchEmbed.forward(input, { signal });
      took('infer');
      const [bytes] = await takeRows(result, [latent.shape[0]!]);
      took('output');
      const shape = [latent.shape[0]!, this.#tokens(latent.shape), outputShape[2]!];
      answers.push([{ name, datatype, shape, bytes: bytes! }]);
    }
    return answers;
  }
}
