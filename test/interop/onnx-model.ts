// Writes ONNX models of one node, in protobuf's wire format.
import type { DType } from '../../lib/index.js';

/** ONNX's numbers of element types (TensorProto.DataType). */
const elementTypes = { float32: 1, int32: 6, int64: 7, float16: 10, float64: 11 } as const;

/** Encodes a protobuf field: a varint for a number, else with its length. */
function field(number: number, value: number | string | Buffer): Buffer {
  if (typeof value === 'number') return Buffer.concat([varint(number * 8), varint(value)]);
  const bytes = Buffer.from(value);
  return Buffer.concat([varint(number * 8 + 2), varint(bytes.length), bytes]);
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  for (; value > 127; value = Math.floor(value / 128)) bytes.push((value % 128) + 128);
  return Buffer.from([...bytes, value]);
}

/** The model y = `operation`(x) for one dtype and shape. */
export function oneNodeModel(
  operation: string,
  dtype: Exclude<DType, 'bfloat16'>,
  shape: readonly number[],
): Uint8Array {
  const dims = Buffer.concat(shape.map((length) => field(1, field(1, length))));
  const tensorType = Buffer.concat([field(1, elementTypes[dtype]), field(2, dims)]);
  const value = (name: string): Buffer =>
    Buffer.concat([field(1, name), field(2, field(1, tensorType))]);
  const node = Buffer.concat([field(1, 'x'), field(2, 'y'), field(4, operation)]);
  const graph = Buffer.concat([
    field(1, node),
    field(2, 'graph'),
    field(11, value('x')),
    field(12, value('y')),
  ]);
  const opset = Buffer.concat([field(1, ''), field(2, 20)]);
  return Buffer.concat([field(1, 9), field(7, graph), field(8, opset)]);
}
