import proto from 'onnx-proto';
import type { Array32 } from '../data.js';

const { onnx } = proto;

type Attribute = number | number[] | string;

/** Writes an ONNX model. Tensors are named; every call adds a node and returns its result's name. */
export class OnnxGraph {
  readonly #nodes: proto.onnx.INodeProto[] = [];
  readonly #initializers: proto.onnx.ITensorProto[] = [];
  readonly #inputs: proto.onnx.IValueInfoProto[] = [];
  readonly #outputs: proto.onnx.IValueInfoProto[] = [];
  #names = 0;

  input(name: string, shape: readonly number[]): string {
    this.#inputs.push(valueInfo(name, shape));
    return name;
  }

  output(from: string, name: string, shape: readonly number[]): void {
    this.#nodes.push({ opType: 'Identity', input: [from], output: [name] });
    this.#outputs.push(valueInfo(name, shape));
  }

  floats({ data, shape }: Array32): string {
    const name = this.#name('weight');
    this.#initializers.push({
      name,
      dataType: onnx.TensorProto.DataType.FLOAT,
      dims: shape,
      rawData: new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
    });
    return name;
  }

  scalar(value: number): string {
    return this.floats({ data: Float32Array.of(value), shape: [] });
  }

  integers(values: readonly number[]): string {
    const name = this.#name('shape');
    this.#initializers.push({
      name,
      dataType: onnx.TensorProto.DataType.INT64,
      dims: [values.length],
      rawData: new Uint8Array(BigInt64Array.from(values.map(BigInt)).buffer),
    });
    return name;
  }

  node(opType: string, input: string[], attributes: Record<string, Attribute> = {}): string {
    const output = this.#name(opType);
    const attribute = Object.entries(attributes).map(([name, value]) => attributeOf(name, value));
    this.#nodes.push({ opType, input, output: [output], attribute });
    return output;
  }

  reshape(from: string, shape: readonly number[]): string {
    return this.node('Reshape', [from, this.integers(shape)]);
  }

  bytes(): Uint8Array {
    return onnx.ModelProto.encode({
      irVersion: 9,
      opsetImport: [
        { domain: '', version: 20 },
        { domain: 'com.microsoft', version: 1 },
      ],
      graph: {
        name: 'layer',
        node: this.#nodes,
        initializer: this.#initializers,
        input: this.#inputs,
        output: this.#outputs,
      },
    }).finish();
  }

  #name(kind: string): string {
    return `${kind}_${this.#names++}`;
  }
}

function valueInfo(name: string, shape: readonly number[]): proto.onnx.IValueInfoProto {
  return {
    name,
    type: {
      tensorType: {
        elemType: onnx.TensorProto.DataType.FLOAT,
        shape: { dim: shape.map((dimValue) => ({ dimValue })) },
      },
    },
  };
}

function attributeOf(name: string, value: Attribute): proto.onnx.IAttributeProto {
  const types = onnx.AttributeProto.AttributeType;
  if (typeof value === 'string') {
    return { name, type: types.STRING, s: new TextEncoder().encode(value) };
  }
  if (Array.isArray(value)) return { name, type: types.INTS, ints: value };
  return Number.isInteger(value)
    ? { name, type: types.INT, i: value }
    : { name, type: types.FLOAT, f: value };
}
