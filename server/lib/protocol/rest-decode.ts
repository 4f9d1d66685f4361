import { invalid, ProtocolError, show } from './errors.js';
import {
  checkId,
  checkList,
  checkName,
  checkTimeout,
  refuseSharedMemory,
  type InferRequest,
  type RequestedOutput,
} from './request.js';
import {
  bytesOfNumbers,
  checkByteLength,
  checkDatatype,
  checkShape,
  elementsOf,
  type WireTensor,
} from './tensor.js';

type JsonObject = Record<string, unknown>;

/**
 * Decodes the body of an inference request: a JSON object, then the binary data of the inputs that have
 * `binary_data_size`, in the order of the inputs. Unknown fields are ignored.
 * @param headerLength the header Inference-Header-Content-Length: the bytes of the JSON object. Without
 *   this header the whole body is JSON.
 * @param maxJsonBytes the most bytes of JSON. Parsed JSON takes many times its length in memory, so this
 *   limit is lower than that of the body.
 * @throws ProtocolError 'invalid', 'tooLarge'.
 */
export function decodeRestRequest(
  body: Buffer,
  headerLength: string | undefined,
  maxJsonBytes: number,
): InferRequest {
  const jsonBytes =
    headerLength === undefined ? body.length : checkHeaderLength(headerLength, body.length);
  if (jsonBytes > maxJsonBytes) {
    throw new ProtocolError(
      'tooLarge',
      `the JSON object has ${jsonBytes} bytes, but ${maxJsonBytes} are the most: send tensors as binary data`,
    );
  }
  const request = asObject(parseJson(body.subarray(0, jsonBytes)), 'the request');
  const parameters = parametersOf(request, 'the request');
  const binary = new BinaryPart(
    body.subarray(jsonBytes),
    headerLength === undefined ? 'the request has no Inference-Header-Content-Length' : undefined,
  );
  const names = new Set<string>();
  const inputs = checkList(request.inputs, 'inputs').map((input) =>
    decodeInput(asObject(input, 'an input'), names, binary),
  );
  binary.checkAllTaken();
  const outputs = request.outputs === undefined ? undefined : decodeOutputs(request.outputs);
  return {
    id: checkId(request.id),
    inputs,
    outputs,
    binaryOutputs: checkFlag(parameters.binary_data_output, 'binary_data_output') ?? false,
    timeoutMs: checkTimeout(parameters.timeout),
  };
}

function checkHeaderLength(text: string, bodyLength: number): number {
  const length = /^\d{1,12}$/.test(text) ? Number(text) : NaN;
  if (length <= bodyLength) return length;
  throw invalid(
    `Inference-Header-Content-Length must be a number up to the body's ${bodyLength} bytes, but is ${show(text)}`,
  );
}

function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (error) {
    const reason = error instanceof SyntaxError ? error.message : 'it is not UTF-8';
    throw invalid(`the request is no JSON: ${reason.slice(0, 200)}`);
  }
}

function asObject(value: unknown, what: string): JsonObject {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return value as JsonObject;
  }
  throw invalid(`${what} must be a JSON object, but is ${show(value)}`);
}

function parametersOf(object: JsonObject, what: string): JsonObject {
  const { parameters } = object;
  return parameters === undefined ? {} : asObject(parameters, `parameters of ${what}`);
}

function checkFlag(value: unknown, name: string): boolean | undefined {
  if (value === undefined || typeof value === 'boolean') return value;
  throw invalid(`parameter ${name} must be true or false, but is ${show(value)}`);
}

function decodeInput(input: JsonObject, names: Set<string>, binary: BinaryPart): WireTensor {
  const name = checkName(input.name, 'input', names);
  const datatype = checkDatatype(input.datatype, name);
  const shape = checkShape(input.shape, name);
  const parameters = parametersOf(input, `input ${show(name)}`);
  refuseSharedMemory(parameters.shared_memory_region !== undefined, name);
  const { binary_data_size: size } = parameters;
  if (size !== undefined && input.data !== undefined) {
    throw invalid(`input ${show(name)} has both data and binary_data_size`);
  }
  const bytes =
    size === undefined
      ? bytesOfNumbers(flatten(input.data, shape, name), datatype, name)
      : binary.take(size, name);
  return checkByteLength({ name, datatype, shape, bytes });
}

/** The binary data after the JSON object, from which each input takes its bytes in turn. */
class BinaryPart {
  readonly #bytes: Buffer;
  readonly #missing: string | undefined;
  #taken = 0;

  /** @param missing the reason why the body has no binary data; undefined if it has. */
  constructor(bytes: Buffer, missing: string | undefined) {
    this.#bytes = bytes;
    this.#missing = missing;
  }

  take(size: unknown, name: string): Buffer {
    if (this.#missing !== undefined) {
      throw invalid(`input ${show(name)} has binary_data_size, but ${this.#missing}`);
    }
    const left = this.#bytes.length - this.#taken;
    if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0 || size > left) {
      throw invalid(
        `input ${show(name)}: binary_data_size must be a number up to the ${left} bytes left in the body, but is ${show(size)}`,
      );
    }
    this.#taken += size;
    return this.#bytes.subarray(this.#taken - size, this.#taken);
  }

  checkAllTaken(): void {
    const left = this.#bytes.length - this.#taken;
    if (left > 0) throw invalid(`${left} bytes at the end of the body belong to no input`);
  }
}

/** The numbers of `data`, which may be flat or nested. Without recursion, because clients choose the depth. */
function flatten(data: unknown, shape: readonly number[], name: string): number[] {
  if (!Array.isArray(data)) {
    throw invalid(`input ${show(name)}: data must be an array of numbers, but is ${show(data)}`);
  }
  const size = elementsOf(shape);
  const numbers: number[] = [];
  const open: { list: readonly unknown[]; next: number }[] = [{ list: data, next: 0 }];
  while (open.length > 0) {
    const top = open.at(-1)!;
    if (top.next === top.list.length) {
      open.pop();
      continue;
    }
    const item = top.list[top.next++];
    if (Array.isArray(item)) {
      if (open.length >= shape.length) {
        throw invalid(`input ${show(name)}: data is nested deeper than its shape has axes`);
      }
      open.push({ list: item, next: 0 });
    } else if (typeof item !== 'number') {
      throw invalid(`input ${show(name)}: data must hold numbers, but holds ${show(item)}`);
    } else if (numbers.length === size) {
      throw invalid(`input ${show(name)}: data has more than the ${size} numbers of its shape`);
    } else {
      numbers.push(item);
    }
  }
  if (numbers.length < size) {
    throw invalid(
      `input ${show(name)}: data has ${numbers.length} numbers, but its shape has ${size}`,
    );
  }
  return numbers;
}

function decodeOutputs(value: unknown): RequestedOutput[] {
  const names = new Set<string>();
  return checkList(value, 'outputs').map((item) => {
    const output = asObject(item, 'an output');
    const name = checkName(output.name, 'output', names);
    const parameters = parametersOf(output, `output ${show(name)}`);
    refuseSharedMemory(parameters.shared_memory_region !== undefined, name);
    return { name, binary: checkFlag(parameters.binary_data, 'binary_data') };
  });
}
