import type { LatteEmbeddings, TransformerEmbeddings } from 'latte-embeddings';
import { invalid, show } from '../protocol/errors.js';
import { showShape, type Datatype, type WireTensor } from '../protocol/tensor.js';

/** An input or output of a model, as in the protocol's metadata. */
export interface TensorSpec {
  readonly name: string;
  /** The datatype that the metadata names. */
  readonly datatype: Datatype;
  /** All datatypes that an input may have. Default: `datatype` only. */
  readonly accepts?: readonly Datatype[];
  /** The length of each axis; -1 means any length. */
  readonly shape: readonly number[];
  readonly optional?: boolean;
  /** The shape that the self-test takes, where 4 for each free axis would not do. */
  readonly example?: readonly number[];
}

/** The loaded weights of a checkpoint on one device. */
export type Weights = LatteEmbeddings | TransformerEmbeddings;

/** A checked request to a model. */
export interface Job {
  readonly model: Model;
  readonly inputs: ReadonlyMap<string, WireTensor>;
  /** The names of the outputs to compute. */
  readonly wanted: ReadonlySet<string>;
  /** The rows of the largest matrix product. `maxBatchRows` limits their sum in a batch. */
  readonly rows: number;
  /** The bytes of all outputs and intermediate results. */
  readonly bytes: number;
  /** Jobs of one model with the same key may share a run. Undefined if the job must run alone. */
  readonly batchKey: string | undefined;
}

/** How long the parts of a run took, in nanoseconds. */
export interface RunTimes {
  input: number;
  infer: number;
  output: number;
}

/** A model that clients can infer. It has no weights itself, so it is the same on every device. */
export interface Model {
  readonly name: string;
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
  /** Makes the job of a request whose tensors fit {@link inputs}. @throws ProtocolError. */
  plan(inputs: ReadonlyMap<string, WireTensor>, wanted: ReadonlySet<string>): Job;
  /** Computes the jobs of one batch on the device of the weights. @returns the outputs of each job. */
  run(
    weights: Weights,
    jobs: readonly Job[],
    signal: AbortSignal,
    times: RunTimes,
  ): Promise<WireTensor[][]>;
}

/** Checks the names, datatypes and shapes of a request's tensors, and makes its job. @throws ProtocolError. */
export function planJob(
  model: Model,
  inputs: readonly WireTensor[],
  outputs: readonly { readonly name: string }[] | undefined,
): Job {
  const given = new Map<string, WireTensor>();
  for (const input of inputs) {
    const spec = model.inputs.find(({ name }) => name === input.name);
    if (spec === undefined) throw unknownTensor('input', input.name, model.inputs);
    checkInput(input, spec);
    given.set(input.name, input);
  }
  for (const { name, optional } of model.inputs) {
    if (optional !== true && !given.has(name)) throw invalid(`input "${name}" is missing`);
  }
  const wanted = new Set<string>();
  for (const { name } of outputs ?? []) {
    if (!model.outputs.some((spec) => spec.name === name)) {
      throw unknownTensor('output', name, model.outputs);
    }
    wanted.add(name);
  }
  if (wanted.size === 0) for (const { name } of model.outputs) wanted.add(name);
  return model.plan(given, wanted);
}

function checkInput({ name, datatype, shape }: WireTensor, spec: TensorSpec): void {
  const accepted = spec.accepts ?? [spec.datatype];
  if (!accepted.includes(datatype)) {
    throw invalid(`input "${name}" must be ${accepted.join(' or ')}, but is ${datatype}`);
  }
  const fits =
    shape.length === spec.shape.length &&
    spec.shape.every((length, axis) => length === -1 || length === shape[axis]);
  if (fits) return;
  throw invalid(
    `input "${name}" must have shape ${showShape(spec.shape)}, but has ${showShape(shape)}`,
  );
}

function unknownTensor(kind: string, name: string, specs: readonly TensorSpec[]): Error {
  const names = specs.map((spec) => spec.name).join(', ');
  return invalid(`the model has no ${kind} ${show(name)}; it has ${names}`);
}
