import { itemSize, type DType, type TensorData } from './dtype.js';
import { LatteError, typedArrayField } from '../errors.js';
import type { NativeTensor } from '../native.js';

/** How many forwards read or write a tensor's memory now; shared by the tensors over that memory. */
export interface Use {
  reads: number;
  /**
   * Those of `reads` that run on another device than the tensor's, or on none (a file is written):
   * nothing orders them with the forwards of the tensor's device.
   */
  distantReads: number;
  writes: number;
}

/**
 * What a `Tensor` hides. The library reads it through `stateOf`, never through the tensor's
 * properties, which a program may have replaced.
 * @internal
 */
export interface TensorState {
  readonly handle: NativeTensor;
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly size: number;
  /** 'cpu', 'npu:0' … */
  readonly device: string;
  /** Shared by the tensors over the same memory. */
  use: Use;
  /** The caller's array, or one over `buffer`, which the first `tensor.data` made. */
  data: TensorData | undefined;
  /** The library's memory as JavaScript sees it; undefined until it is asked for. */
  buffer: ArrayBuffer | undefined;
  disposed: boolean;
}

/** The state of a new tensor. @internal */
export function newState(
  parts: Pick<TensorState, 'handle' | 'dtype' | 'shape' | 'device'> & { data?: TensorData },
): TensorState {
  return {
    data: undefined,
    ...parts,
    size: sizeOf(parts.shape),
    use: { reads: 0, distantReads: 0, writes: 0 },
    buffer: undefined,
    disposed: false,
  };
}

/** The number of elements of a shape. @internal */
export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, length) => product * length, 1);
}

/** Whether the tensor is over an array of the caller. @internal */
export function wrapsArray(state: TensorState): boolean {
  return state.data !== undefined && state.buffer === undefined;
}

/** How many elements the tensor's memory still has: the caller may transfer or shrink an array. @internal */
export function elementsLeft(state: TensorState): number {
  return wrapsArray(state) ? typedArrayField(state.data!, 'length') : state.size;
}

/**
 * The native handle of a tensor, for work that its device does in order.
 * @param name what messages call the tensor.
 * @throws LatteError ERR_DISPOSED; ERR_STATE if the caller's array was detached or shrunk.
 * @internal
 */
export function handleOf(state: TensorState, name: string): NativeTensor {
  if (state.disposed) throw new LatteError('ERR_DISPOSED', `${name} was disposed`);
  const left = elementsLeft(state);
  if (left < state.size) {
    throw new LatteError(
      'ERR_STATE',
      `the array behind ${name} was detached or shrunk: ${state.size} elements were expected, ${left} are left`,
    );
  }
  return state.handle;
}

/**
 * The native handle of a tensor whose values are read before this function's caller returns.
 * @throws LatteError as {@link handleOf}; ERR_STATE while a forward writes the tensor.
 * @internal
 */
export function handleToReadNow(state: TensorState, name: string): NativeTensor {
  if (state.use.writes > 0) {
    throw new LatteError('ERR_STATE', `${name} is being written by another forward`);
  }
  return handleOf(state, name);
}

/** The number of bytes that the elements take. @internal */
export function byteLengthOf(state: TensorState): number {
  return state.size * itemSize(state.dtype);
}
