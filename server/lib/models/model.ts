import type { LatteEmbeddings } from 'latte-embeddings';
import { invalid, show } from '../protocol/errors.js';
import { showShape, type Datatype, type WireTensor } from '../protocol/tensor.js';

/** An input or output as the metadata describes it. */
export interface TensorSpec {
  readonly name: string;
  /** The type that the model computes with. */
  readonly datatype: Datatype;
  /** Of an input: every type that it may come in. */
  readonly accepts?: readonly Datatype[];
  /** -1: any length. */
  readonly shape: readonly number[];
  readonly optional?: boolean;
}

/** A checked request to one model. */
export interface Job {
  readonly model: Model;
  readonly inputs: ReadonlyMap<string, WireTensor>;
  /** The names of the outputs to compute. */
  readonly wanted: ReadonlySet<string>;
  /** Rows of the largest product, which batches are bounded by. */
  readonly rows: number;
  /** The bytes of all outputs, and of what is computed on the way. */
  readonly bytes: number;
  /** Jobs of one model with the same key may share a run; undefined: a run of its own. */
  readonly batchKey: string | undefined;
}

/** How long the parts of a run took, in nanoseconds. */
export interface RunTimes {
  input: number;
  infer: number;
  output: number;
}

/** What can be inferred: the same on every device. */
export interface Model {
  readonly name: string;
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
  /** Completes a request whose tensors fit {@link inputs}. @throws ProtocolError. */
  plan(inputs: ReadonlyMap<string, WireTensor>, wanted: ReadonlySet<string>): Job;
  /** Computes jobs of one batch on one device: the outputs of each. */
  run(
    latte: LatteEmbeddings,
    jobs: readonly Job[],
    signal: AbortSignal,
    times: RunTimes,
  ): Promise<WireTensor[][]>;
}

/** Checks names, types and shapes of a request's tensors against a model's, and plans its job. */
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
