// Tensors of ONNX Runtime's JavaScript (onnxruntime-node, transformers.js) over the same memory.
import { isArray, LatteError, show } from '../errors.js';
import { bitsOf } from './data.js';
import type { DType, TensorData } from './dtype.js';
import { handleToReadNow, type TensorState } from './state.js';

/**
 * A module with ONNX Runtime's class Tensor: onnxruntime-node or `@huggingface/transformers`. The
 * caller passes its own, so that its sessions accept the tensors, and so that this package needs no
 * such dependency.
 */
export interface OrtModule<T> {
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- versions differ in their parameters
  readonly Tensor: abstract new (...args: any) => T;
}

/** The properties of an ONNX Runtime tensor that {@link Tensor.fromOrt} reads. */
export interface OrtTensorLike {
  readonly type: string;
  readonly dims: readonly number[];
  readonly data: unknown;
  /** 'cpu' or 'cpu-pinned'; older versions of ONNX Runtime lack this property. */
  readonly location?: string;
}

/** The dtypes that both this package and ONNX Runtime's JavaScript have, under the same names. */
const sharedTypes: readonly string[] = [
  'float64',
  'float32',
  'float16',
  'int32',
  'int64',
] satisfies DType[];

/**
 * Refuses a tensor that ONNX Runtime cannot read at this moment.
 * @throws LatteError as {@link Tensor.toOrt}.
 * @internal
 */
export function checkForOrt(state: TensorState): void {
  handleToReadNow(state, 'tensor');
  if (state.device !== 'cpu') {
    throw new LatteError(
      'ERR_STATE',
      `the tensor is on ${state.device}, and ONNX Runtime reads the cpu's memory; use (await tensor.to('cpu')).toOrt(ort)`,
    );
  }
  if (!sharedTypes.includes(state.dtype)) {
    throw new LatteError(
      'ERR_DTYPE',
      `ONNX Runtime's JavaScript has no ${state.dtype}; use (await tensor.to({ dtype: 'float32' })).toOrt(ort), or 'float16'`,
    );
  }
}

/**
 * A tensor of the class `ort.Tensor` over `data`.
 * @throws LatteError ERR_VALUE if `ort` has no such class.
 * @internal
 */
export function makeOrtTensor<T>(
  ort: OrtModule<T>,
  dtype: DType,
  data: TensorData,
  shape: readonly number[],
): T {
  const OrtTensor = tensorClassOf(ort) as new (
    type: string,
    data: TensorData,
    dims: number[],
  ) => T & object;
  if (dtype !== 'float16') return new OrtTensor(dtype, data, [...shape]);
  // ONNX Runtime's addon reads float16 only from a Uint16Array. But in Node.js 24 and newer its class
  // Tensor accepts only a Float16Array. So make a tensor of type uint16, then change its type.
  const made = new OrtTensor('uint16', bitsOf(dtype, data), [...shape]);
  // A tensor of transformers.js holds the tensor of ONNX Runtime in this property.
  const inner = (made as { ort_tensor?: object }).ort_tensor ?? made;
  Object.defineProperty(inner, 'type', {
    value: 'float16',
    writable: true,
    enumerable: true,
    configurable: true,
  });
  return made;
}

function tensorClassOf(ort: unknown): unknown {
  const isModule = (typeof ort === 'object' && ort !== null) || typeof ort === 'function';
  const found = isModule ? readField(ort, 'Tensor', 'ort') : undefined;
  if (typeof found === 'function') return found;
  throw new LatteError(
    'ERR_VALUE',
    `ort must be the module onnxruntime-node or @huggingface/transformers, with its class Tensor, but is ${show(ort)}`,
  );
}

/**
 * The dtype, array and shape of a tensor of ONNX Runtime.
 * @throws LatteError as {@link Tensor.fromOrt}.
 * @internal
 */
export function readOrtTensor(tensor: unknown): {
  dtype: DType;
  data: TensorData;
  shape: number[];
} {
  if (typeof tensor !== 'object' || tensor === null) throw notOrtTensor(tensor);
  const type = readField(tensor, 'type', 'tensor');
  const shape = readField(tensor, 'dims', 'tensor');
  const location = readField(tensor, 'location', 'tensor');
  if (typeof type !== 'string' || !isArray(shape)) throw notOrtTensor(tensor);
  if (location === 'none') {
    throw new LatteError('ERR_DISPOSED', 'tensor was disposed by ONNX Runtime');
  }
  if (location !== undefined && location !== 'cpu' && location !== 'cpu-pinned') {
    throw new LatteError(
      'ERR_STATE',
      `the data of tensor is at ${show(location)}, not on the cpu; await tensor.getData() first`,
    );
  }
  if (!sharedTypes.includes(type)) {
    throw new LatteError(
      'ERR_DTYPE',
      `the type of tensor must be one of ${sharedTypes.join(', ')}, but is ${show(type)}`,
    );
  }
  const data = readField(tensor, 'data', 'tensor');
  // An array of numbers is refused: the new Tensor would copy it, but fromOrt promises no copy.
  if (!ArrayBuffer.isView(data)) {
    throw new LatteError(
      'ERR_DTYPE',
      `the data of tensor must be a typed array, but is ${show(data)}`,
    );
  }
  return {
    dtype: type as DType,
    data: data as unknown as TensorData,
    shape: shape as number[],
  };
}

function notOrtTensor(value: unknown): LatteError {
  return new LatteError(
    'ERR_VALUE',
    `tensor must be a tensor of ONNX Runtime, with type, dims and data, but is ${show(value)}`,
  );
}

/** Reads a property of another library's object, whose getter may throw. @throws LatteError ERR_VALUE. */
function readField(object: object, field: string, name: string): unknown {
  try {
    return Reflect.get(object, field);
  } catch (cause) {
    throw new LatteError('ERR_VALUE', `${name}.${field} cannot be read`, { cause });
  }
}
