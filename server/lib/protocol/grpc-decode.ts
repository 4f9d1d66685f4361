import { invalid, show } from './errors.js';
import {
  checkId,
  checkList,
  checkName,
  checkTimeout,
  refuseSharedMemory,
  type InferRequest,
} from './request.js';
import {
  bytesOfNumbers,
  checkByteLength,
  checkDatatype,
  checkShape,
  type Datatype,
  type WireTensor,
} from './tensor.js';

/** A parameter as proto-loader decodes it. */
interface Parameter {
  bool_param?: boolean;
  int64_param?: number;
  uint64_param?: number;
  string_param?: string;
  double_param?: number;
}

type Parameters = Record<string, Parameter>;

interface Contents {
  int_contents?: number[];
  int64_contents?: number[];
  fp32_contents?: number[];
}

/** A ModelInferRequest as proto-loader decodes it, with int64 as numbers. */
export interface ModelInferRequest {
  model_name: string;
  model_version: string;
  id: string;
  parameters: Parameters;
  inputs: {
    name: string;
    datatype: string;
    shape: number[];
    parameters: Parameters;
    contents?: Contents | null;
  }[];
  outputs: { name: string; parameters: Parameters }[];
  raw_input_contents: Buffer[];
}

/** The field of `contents` that holds elements of a datatype. FP16 and BF16 have none. */
const contentsOf: Partial<Record<Datatype, keyof Contents>> = {
  FP32: 'fp32_contents',
  INT32: 'int_contents',
  INT64: 'int64_contents',
};

/** Checks a ModelInferRequest, and converts it to an InferRequest. @throws ProtocolError 'invalid'. */
export function decodeGrpcRequest(request: ModelInferRequest): InferRequest {
  const names = new Set<string>();
  const raw = request.raw_input_contents;
  const inputs = checkList(request.inputs, 'inputs') as ModelInferRequest['inputs'];
  if (raw.length > 0 && raw.length !== inputs.length) {
    throw invalid(`raw_input_contents has ${raw.length} tensors, but inputs has ${inputs.length}`);
  }
  const outputNames = new Set<string>();
  const outputs = checkList(request.outputs, 'outputs') as ModelInferRequest['outputs'];
  return {
    id: checkId(request.id),
    inputs: inputs.map((input, i) => decodeInput(input, names, raw[i])),
    outputs:
      outputs.length === 0
        ? undefined
        : outputs.map(({ name, parameters }) => {
            refuseSharedMemory(Object.hasOwn(parameters, 'shared_memory_region'), name);
            return { name: checkName(name, 'output', outputNames) };
          }),
    binaryOutputs: true,
    timeoutMs: checkTimeout(integerParameter(request.parameters, 'timeout')),
  };
}

function decodeInput(
  input: ModelInferRequest['inputs'][number],
  names: Set<string>,
  raw: Buffer | undefined,
): WireTensor {
  const name = checkName(input.name, 'input', names);
  const datatype = checkDatatype(input.datatype, name);
  const shape = checkShape(input.shape, name);
  refuseSharedMemory(Object.hasOwn(input.parameters, 'shared_memory_region'), name);
  const contents = input.contents ?? undefined;
  if (raw !== undefined) {
    if (contents !== undefined) {
      throw invalid(`input ${show(name)} has both contents and raw contents`);
    }
    return checkByteLength({ name, datatype, shape, bytes: raw });
  }
  const field = contentsOf[datatype];
  if (field === undefined) {
    throw invalid(`input ${show(name)}: ${datatype} must be sent in raw_input_contents`);
  }
  const bytes = bytesOfNumbers(contents?.[field] ?? [], datatype, name);
  return checkByteLength({ name, datatype, shape, bytes });
}

function integerParameter(parameters: Parameters, name: string): number | undefined {
  if (!Object.hasOwn(parameters, name)) return undefined;
  const { int64_param, uint64_param } = parameters[name]!;
  const value = int64_param ?? uint64_param;
  if (value === undefined) throw invalid(`parameter ${name} must be an integer`);
  return value;
}
