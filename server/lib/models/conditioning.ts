import type { LatteEmbeddings } from 'latte-embeddings';
import { invalid } from '../protocol/errors.js';
import {
  bytesOf,
  datatypeOf,
  itemSize,
  numberDatatypes,
  type Datatype,
  type WireTensor,
} from '../protocol/tensor.js';
import { captionSpec, checkTiles, sizeSpecs, stepRows } from './layers.js';
import type { Job, Model, RunTimes, TensorSpec } from './model.js';
import {
  embedSteps,
  floatsOf,
  projectCaptions,
  stopwatch,
  takeRows,
  type StepRows,
  type Stopwatch,
} from './rows.js';

type Inputs = ReadonlyMap<string, WireTensor>;

/** The sizes of a job's inputs: B, L, S and F. */
interface Sizes {
  readonly batch: number;
  readonly tokens: number;
  readonly steps: number;
  readonly frames: number;
}

/**
 * Computes everything of a prompt that does not depend on the latent: caption [B, L, K], timesteps [S],
 * sizes → encoder_hidden_states [B, L, D], modulation [S, B, 6D], embedded_timestep [S, B, D]; if the
 * model has a time axis also temp_pos_embed [1, F, D].
 */
export class ConditioningModel implements Model {
  readonly name = 'conditioning';
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
  readonly #sizes: readonly string[];
  readonly #dim: number;
  readonly #table: TemporalTable | undefined;

  /** @param table the temporal table of a model with a time axis. */
  constructor(latte: LatteEmbeddings, table: TemporalTable | undefined) {
    const { config } = latte;
    this.#dim = config.innerDim;
    this.#table = table;
    const datatype = datatypeOf(latte.adaLayerNormSingle.dtype);
    const sizes = sizeSpecs(config);
    this.#sizes = sizes.map(({ name }) => name);
    this.inputs = [
      captionSpec(config, datatype),
      { name: 'timesteps', datatype: 'FP32', accepts: numberDatatypes, shape: [-1] },
      ...sizes,
    ];
    const width = config.captionChannels === null ? -1 : this.#dim;
    this.outputs = [
      { name: 'encoder_hidden_states', datatype, shape: [-1, -1, width] },
      { name: 'modulation', datatype, shape: [-1, -1, 6 * this.#dim] },
      { name: 'embedded_timestep', datatype, shape: [-1, -1, this.#dim] },
    ];
    if (table === undefined) return;
    this.inputs = [
      ...this.inputs,
      { name: 'frames', datatype: 'INT64', shape: [1], optional: true },
    ];
    this.outputs = [
      ...this.outputs,
      { name: 'temp_pos_embed', datatype: table.datatype, shape: [1, -1, this.#dim] },
    ];
  }

  plan(inputs: Inputs, wanted: ReadonlySet<string>): Job {
    const caption = inputs.get('caption')!;
    const { batch, tokens, steps, frames } = this.#sizesOf(inputs);
    if (steps === 0) throw invalid('input "timesteps" must have at least one timestep');
    checkTiles(inputs, this.#sizes, batch);
    const item = itemSize(this.outputs[0]!.datatype);
    const captionBytes = batch * tokens * Math.max(this.#dim, caption.shape[2]!) * item;
    const stepBytes = steps * batch * 7 * this.#dim * item;
    const tableBytes = wanted.has('temp_pos_embed') ? frames * this.#dim * 4 : 0;
    return {
      model: this,
      inputs,
      wanted,
      rows: Math.max(batch * tokens, steps * batch),
      // Twice, because results are copied into the answer.
      bytes: 2 * (captionBytes + stepBytes + tableBytes),
      // The captions of a batch are concatenated, so they must have the same datatype and width.
      batchKey: `${caption.datatype} ${caption.shape[2]}`,
    };
  }

  async run(
    latte: LatteEmbeddings,
    jobs: readonly Job[],
    signal: AbortSignal,
    times: RunTimes,
  ): Promise<WireTensor[][]> {
    // Both share a stopwatch, so that the parts add up to the time of the run although they overlap.
    const took = stopwatch(times);
    // Wait for both before throwing, so that no forward still runs after an error.
    const ended = await Promise.allSettled([
      this.#captions(latte, jobs, signal, took),
      this.#steps(latte, jobs, signal, took),
    ]);
    const [captions, steps] = ended;
    if (captions.status === 'rejected') throw captions.reason;
    if (steps.status === 'rejected') throw steps.reason;
    return jobs.map((job) => {
      const bytes = new Map([...(captions.value.get(job) ?? []), ...(steps.value.get(job) ?? [])]);
      if (job.wanted.has('temp_pos_embed')) {
        bytes.set('temp_pos_embed', firstRows(this.#table!, this.#sizesOf(job.inputs).frames));
      }
      return this.#answer(job, bytes);
    });
  }

  #sizesOf(inputs: Inputs): Sizes {
    const { shape } = inputs.get('caption')!;
    return {
      batch: shape[0]!,
      tokens: shape[1]!,
      steps: inputs.get('timesteps')!.shape[0]!,
      frames: framesOf(inputs) ?? this.#table?.frames ?? 0,
    };
  }

  async #captions(
    latte: LatteEmbeddings,
    all: readonly Job[],
    signal: AbortSignal,
    took: Stopwatch,
  ): Promise<Answers> {
    const jobs = all.filter(({ wanted }) => wanted.has('encoder_hidden_states'));
    if (jobs.length === 0) return new Map();
    const captions = jobs.map(({ inputs }) => inputs.get('caption')!);
    const result = await projectCaptions(latte, captions, signal, took);
    took('infer');
    const rows = await takeRows(
      result,
      captions.map(({ shape }) => shape[0]! * shape[1]!),
    );
    took('output');
    return new Map(jobs.map((job, i) => [job, new Map([['encoder_hidden_states', rows[i]!]])]));
  }

  async #steps(
    latte: LatteEmbeddings,
    all: readonly Job[],
    signal: AbortSignal,
    took: Stopwatch,
  ): Promise<Answers> {
    const jobs = all.filter(
      ({ wanted }) => wanted.has('modulation') || wanted.has('embedded_timestep'),
    );
    if (jobs.length === 0) return new Map();
    const steps = jobs.map(({ inputs }) => this.#rowsOf(inputs));
    took('input');
    const result = await embedSteps(latte, steps, signal);
    took('infer');
    const counts = steps.map(({ timesteps }) => timesteps.length);
    const [modulation, embedded] = await Promise.all([
      takeRows(result.modulation, counts),
      takeRows(result.embeddedTimestep, counts),
    ]);
    const answers = jobs.map(({ inputs }, i): [Job, Map<string, Buffer>] => {
      const times = this.#sizes.length > 0 ? 1 : this.#sizesOf(inputs).batch;
      const { length } = steps[i]!.timesteps;
      return [
        jobs[i]!,
        new Map([
          ['modulation', repeatRows(modulation[i]!, length, times)],
          ['embedded_timestep', repeatRows(embedded[i]!, length, times)],
        ]),
      ];
    });
    took('output');
    return new Map(answers);
  }

  /** The rows to compute: with size conditions S·B, because the rows of a batch differ; else S. */
  #rowsOf(inputs: Inputs): StepRows {
    const timesteps = floatsOf(inputs.get('timesteps')!);
    if (this.#sizes.length === 0) return { timesteps };
    const { batch } = this.#sizesOf(inputs);
    const rows = timesteps.length * batch;
    const repeated = Float32Array.from(
      { length: rows },
      (_, i) => timesteps[Math.floor(i / batch)]!,
    );
    return stepRows(inputs, repeated, rows);
  }

  #answer({ inputs, wanted }: Job, bytes: ReadonlyMap<string, Buffer>): WireTensor[] {
    const { batch, tokens, steps, frames } = this.#sizesOf(inputs);
    const width = this.outputs[0]!.shape[2]!;
    const shapes: Record<string, number[]> = {
      encoder_hidden_states: [batch, tokens, width < 0 ? inputs.get('caption')!.shape[2]! : width],
      modulation: [steps, batch, 6 * this.#dim],
      embedded_timestep: [steps, batch, this.#dim],
      temp_pos_embed: [1, frames, this.#dim],
    };
    return this.outputs
      .filter(({ name }) => wanted.has(name))
      .map(({ name, datatype }) => ({
        name,
        datatype,
        shape: shapes[name]!,
        bytes: bytes.get(name)!,
      }));
  }
}

/** The bytes of each job's outputs, by name. */
type Answers = ReadonlyMap<Job, ReadonlyMap<string, Buffer>>;

/** The temporal position table of a model, for `config.videoLength` frames. */
export interface TemporalTable {
  readonly frames: number;
  readonly datatype: Datatype;
  /** [frames, D] */
  readonly bytes: Uint8Array;
}

/** Reads the temporal table of a model; undefined if the model has no time axis. */
export async function readTemporalTable(
  latte: LatteEmbeddings,
): Promise<TemporalTable | undefined> {
  const { videoLength: frames } = latte.config;
  if (frames === null) return undefined;
  using table = latte.tempPosEmbed(frames);
  // A checkpoint may store a float64 table; the server's datatypes have no FP64.
  const dtype = table.dtype === 'float64' ? 'float32' : table.dtype;
  using host = await table.to({ device: 'cpu', dtype });
  return { frames, datatype: datatypeOf(dtype), bytes: bytesOf(host.data).slice() };
}

/** The first `count` rows of a table, [1, count, D]; rows beyond the table are zeros. */
function firstRows({ frames, bytes }: TemporalTable, count: number): Buffer {
  const rowBytes = bytes.byteLength / Math.max(frames, 1);
  const rows = Buffer.alloc(count * rowBytes);
  rows.set(bytes.subarray(0, Math.min(count, frames) * rowBytes));
  return rows;
}

function framesOf(inputs: Inputs): number | undefined {
  const frames = inputs.get('frames');
  if (frames === undefined) return undefined;
  const { buffer, byteOffset } = frames.bytes;
  const littleEndian = true;
  const count = new DataView(buffer, byteOffset).getBigInt64(0, littleEndian);
  if (count >= 0n && count <= 2n ** 31n) return Number(count);
  throw invalid(`input "frames" must be a number from 0 to ${2 ** 31}, but is ${count}`);
}

/** Repeats each of `count` rows `times` times: without sizes a step's row is the same for a whole batch. */
function repeatRows(rows: Buffer, count: number, times: number): Buffer {
  if (times === 1) return rows;
  const width = rows.length / Math.max(count, 1);
  const repeated = Buffer.allocUnsafe(rows.length * times);
  for (let i = 0; i < count * times; i++) {
    const from = Math.floor(i / times) * width;
    rows.copy(repeated, i * width, from, from + width);
  }
  return repeated;
}
