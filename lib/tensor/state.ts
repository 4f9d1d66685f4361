import { itemSize, type DType, type TensorData } from './dtype.js';
import { LatteError, typedArrayField } from '../errors.js';
import type { NativeTensor } from '../native.js';

/**
 * How many forwards and other readers use a tensor's memory now. Tensors over the same memory share
 * one object.
 */
export interface Use {
  reads: number;
  /**
   * Those of `reads` that run on another device than the tensor's, or in JavaScript (which writes a
   * file). The order of forwards on the tensor's device does not hold for them.
   */
  distantReads: number;
  writes: number;
}

/**
 * The private fields of a `Tensor`. The library reads them through `stateOf`, not through the
 * tensor's getters, which a program may have replaced.
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
  /** The caller's array, or an array over `buffer`; undefined before the first `tensor.data`. */
  data: TensorData | undefined;
  /** The library's memory as an ArrayBuffer; undefined before the first `tensor.data`. */
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

/** Whether the tensor wraps an array of the caller. @internal */
export function wrapsArray(state: TensorState): boolean {
  return state.data !== undefined && state.buffer === undefined;
}

/** How many elements the tensor's memory has now: fewer if the caller transferred or shrank an array. @internal */
export function elementsLeft(state: TensorState): number {
  return wrapsArray(state) ? typedArrayField(state.data!, 'length') : state.size;
}

/**
 * The native handle of a tensor. For work that a device runs in its order, after the forwards that
 * still write the tensor.
 * @param name the name of the tensor in messages.
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
 * The native handle of a tensor, for a function that reads the values before it returns.
 * @throws LatteError as {@link handleOf}; ERR_STATE if a forward still writes the tensor.
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
