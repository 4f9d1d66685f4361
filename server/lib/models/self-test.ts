import {
  bytesOfNumbers,
  elementsOf,
  itemSize,
  numbersOf,
  type WireTensor,
} from '../protocol/tensor.js';
import { planJob, type Model, type TensorSpec, type Weights } from './model.js';

/** The length of each axis of a test input that may have any length. */
const freeLength = 4;

/**
 * Computes a small request of a model twice. The results must have the size of their shape, be finite, and
 * have the same bits both times. This finds weights with NaN, and devices that do not compute correctly.
 * @throws Error that names the model and the output.
 */
export async function selfTest(
  name: string,
  model: Model,
  weights: Weights,
  device: string,
): Promise<void> {
  const inputs = model.inputs.filter(({ optional }) => optional !== true).map(exampleInput);
  const job = planJob(model, inputs, undefined);
  const compute = async (): Promise<WireTensor[]> => {
    const times = { input: 0, infer: 0, output: 0 };
    const [outputs] = await model.run(weights, [job], new AbortController().signal, times);
    return outputs!;
  };
  const outputs = await compute();
  const again = await compute();
  for (const [i, output] of outputs.entries()) {
    const problem = checkOutput(output, again[i]!);
    if (problem === undefined) continue;
    throw new Error(`the self-test of ${name} on ${device} failed: ${output.name} ${problem}`);
  }
}

function checkOutput(output: WireTensor, again: WireTensor): string | undefined {
  const { bytes, shape, datatype } = output;
  if (bytes.byteLength !== elementsOf(shape) * itemSize(datatype)) return 'has a wrong size';
  if (!numbersOf(output).every(Number.isFinite)) return 'is not finite';
  if (Buffer.compare(bytes, again.bytes) !== 0) return 'differs the second time';
  return undefined;
}

function exampleInput({ name, datatype, shape, example }: TensorSpec): WireTensor {
  const lengths = example ?? shape.map((length) => (length === -1 ? freeLength : length));
  const numbers = Array.from({ length: elementsOf(lengths) }, (_, i) => ((i * 7) % 16) / 16);
  return { name, datatype, shape: lengths, bytes: bytesOfNumbers(numbers, datatype, name) };
}
