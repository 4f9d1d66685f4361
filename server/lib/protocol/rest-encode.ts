import { invalid } from './errors.js';
import type { InferAnswer, InferRequest } from './request.js';
import { elementsOf, numbersOf, type WireTensor } from './tensor.js';

/** The most numbers of an output in JSON, where each takes some 20 bytes. */
const maxJsonNumbers = 2 ** 21;

export interface RestAnswer {
  /** The bytes of the JSON object; undefined if no binary data follows it. */
  readonly headerLength: number | undefined;
  readonly chunks: readonly Uint8Array[];
}

/**
 * Encodes an answer. Each output is JSON numbers, or binary data after the JSON object, depending on the
 * request.
 * @throws ProtocolError 'invalid' for numbers that JSON cannot hold.
 */
export function encodeRestAnswer(request: InferRequest, answer: InferAnswer): RestAnswer {
  const binary: Uint8Array[] = [];
  const outputs = answer.outputs.map((output) => {
    const { name, datatype, shape, bytes } = output;
    const asked = request.outputs?.find((one) => one.name === name)?.binary;
    if (!(asked ?? request.binaryOutputs)) {
      return { name, datatype, shape, data: jsonNumbers(output) };
    }
    binary.push(bytes);
    return { name, datatype, shape, parameters: { binary_data_size: bytes.byteLength } };
  });
  const json = Buffer.from(
    JSON.stringify({
      model_name: answer.modelName,
      model_version: '1',
      ...(answer.id === '' ? {} : { id: answer.id }),
      outputs,
    }),
  );
  return {
    headerLength: binary.length > 0 ? json.length : undefined,
    chunks: [json, ...binary],
  };
}

function jsonNumbers(output: WireTensor): number[] {
  const size = elementsOf(output.shape);
  if (size > maxJsonNumbers) {
    throw invalid(
      `output "${output.name}" has ${size} numbers, but JSON may have ${maxJsonNumbers}: ask for binary_data`,
    );
  }
  const numbers = Array.from(numbersOf(output));
  if (!numbers.every(Number.isFinite)) {
    throw invalid(
      `output "${output.name}" has NaN or infinity, which JSON cannot hold: ask for binary_data`,
    );
  }
  return numbers;
}
