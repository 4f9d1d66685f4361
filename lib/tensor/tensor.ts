import { checkDevice, resolveDevice } from '../device.js';
import { isArray, LatteError, show, showShape, typedArrayField } from '../errors.js';
import {
  disposeHandle,
  handleList,
  native,
  settled,
  type NativeTensor,
  type NativeTensors,
} from '../native.js';
import { checkArgumentCount, checkOptions } from '../options.js';
import { bitsOf, checkArray, checkShape, firstValues, fromNumbers } from './data.js';
import { arraysOf, checkDType, itemSize, type DType, type TensorData } from './dtype.js';
import {
  byteLengthOf,
  elementsLeft,
  handleOf,
  handleToReadNow,
  newState,
  sizeOf,
  wrapsArray,
  type TensorState,
} from './state.js';
import {
  checkForOrt,
  makeOrtTensor,
  readOrtTensor,
  type OrtModule,
  type OrtTensorLike,
} from './ort.js';
import { startReading } from './use.js';

/** As the first argument of the constructor: the second one is a handle of the addon. */
const ownedHandle = Symbol('ownedHandle');

/** The device and the dtype of the tensor that {@link Tensor.to} returns. */
export interface TensorTarget {
  /** 'cpu', 'npu' or 'npu:0' …; 'auto' is the first NPU, or the cpu if there is none. */
  device?: string;
  dtype?: DType;
}

// These give the library access to a tensor's private state. The class sets them, because only code
// within the class can read a private field.
let isOwn: (value: object) => value is Tensor;

/** The private state of a tensor. @internal */
export let stateOf: (tensor: Tensor) => TensorState;

/**
 * Makes a tensor of a handle of the addon. The tensor owns the handle; if this throws, the handle was
 * disposed.
 * @internal
 */
export let wrapHandle: (handle: NativeTensor) => Tensor;

/**
 * An n-dimensional array in row-major order, on the CPU or on a device.
 *
 * A tensor made from a typed array wraps the array: it does not copy or own it. A tensor that the
 * library made owns its memory, which comes from a pool. The memory returns to the pool once the
 * tensor is disposed or collected. Dispose large tensors as soon as they are not needed: the garbage
 * collector frees the tensors of a synchronous loop only after a turn of the event loop.
 * @example
 * ```ts
 * const latent = new Tensor('float32', new Float32Array(4 * 64 * 64), [1, 4, 64, 64]);
 * using half = await latent.to({ dtype: 'float16' });
 * console.log(half.shape, half.dtype, half.device); // [ 1, 4, 64, 64 ] float16 cpu
 * ```
 */
export class Tensor {
  readonly #state: TensorState;

  /**
   * @param dtype the element type.
   * @param data a typed array of the kind that holds `dtype`, which is wrapped without a copy; or an
   *   array of numbers, which is copied and rounded to nearest, ties to even. A Uint16Array holds the
   *   bits of float16 and bfloat16 elements.
   * @param shape the length of each axis; default [data.length].
   * @throws LatteError ERR_DTYPE for an array of another kind, ERR_SHAPE if the shape does not have
   *   as many elements as the data, ERR_VALUE for a SharedArrayBuffer or for numbers that the dtype
   *   cannot hold, ERR_STATE for a detached array.
   */
  constructor(dtype: DType, data: TensorData | readonly number[], shape?: readonly number[]);
  constructor(
    dtype: DType | typeof ownedHandle,
    data: TensorData | readonly number[] | NativeTensor,
    shape?: readonly number[],
  ) {
    if (dtype === ownedHandle) {
      const handle = data as NativeTensor;
      this.#state = newState({
        handle,
        dtype: native.tensorDType(handle),
        shape: Object.freeze(native.tensorShape(handle)),
        device: native.tensorDevice(handle),
      });
      return;
    }
    checkArgumentCount(arguments, 3, 'new Tensor(dtype, data, shape)');
    const type = checkDType(dtype);
    const values = isArray(data) ? fromNumbers(type, data, 'data') : (data as TensorData);
    const array = checkArray(type, values);
    const length = typedArrayField(array, 'length');
    const lengths = shape === undefined ? [length] : checkShape(shape, itemSize(type));
    if (sizeOf(lengths) !== length) {
      throw new LatteError(
        'ERR_SHAPE',
        `shape ${showShape(lengths)} asks for ${sizeOf(lengths)} elements, but data has ${length}`,
      );
    }
    this.#state = newState({
      handle: native.tensorFrom(type, [...lengths], bitsOf(type, array)),
      dtype: type,
      shape: Object.freeze(lengths),
      device: 'cpu',
      data: array,
    });
  }

  static {
    wrapHandle = (handle) => {
      try {
        return new (Tensor as unknown as new (tag: symbol, handle: NativeTensor) => Tensor)(
          ownedHandle,
          handle,
        );
      } catch (error) {
        disposeHandle(handle);
        throw error;
      }
    };
    stateOf = (tensor) => tensor.#state;
    isOwn = (value): value is Tensor => #state in value;
    // console.log and util.inspect call this method.
    Object.defineProperty(this.prototype, Symbol.for('nodejs.util.inspect.custom'), {
      value(this: object): string {
        return isOwn(this) ? this.toString() : 'Tensor {}';
      },
      writable: true,
      configurable: true,
    });
  }

  /**
   * A tensor of zeros in memory that the library owns. For an NPU the calling thread waits for the
   * device.
   * @param options `dtype`: default 'float32'. `device`: default 'cpu'.
   * @throws LatteError ERR_SHAPE, ERR_DTYPE, ERR_OUT_OF_MEMORY, ERR_DEVICE_UNAVAILABLE.
   */
  static zeros(shape: readonly number[], options?: { dtype?: DType; device?: string }): Tensor {
    checkArgumentCount(arguments, 2, 'Tensor.zeros(shape, options)');
    const given = checkOptions(options, ['dtype', 'device']);
    const dtype = given.dtype === undefined ? 'float32' : checkDType(given.dtype);
    const device = given.device === undefined ? 'cpu' : resolveDevice(given.device);
    return wrapHandle(native.zeros(dtype, checkShape(shape, itemSize(dtype)), device));
  }

  /**
   * A tensor over device memory that another ACL addon of this process owns, without a copy.
   *
   * Disposing the tensor does not free the memory. The owner must keep the memory until this tensor,
   * and each tensor over the same memory that `to()` returned, is disposed, and until every forward
   * that took one of them has settled.
   *
   * With `event`, work on the tensor starts after that event. The owner records the event on its own
   * stream after the work that fills the memory, and keeps the event until the first work on the
   * tensor is done. If the device cannot wait for the event, that work is rejected, and the next work
   * tries again. Without `event`, the memory must be filled before this call. This function itself
   * does not use the device.
   * @param pointer the address in the device's memory, a multiple of the dtype's size in bytes.
   * @param options `event`: an aclrtEvent, as a bigint.
   * @throws LatteError ERR_VALUE, ERR_DTYPE, ERR_SHAPE, ERR_DEVICE_UNAVAILABLE.
   */
  static fromDevicePointer(
    pointer: bigint,
    dtype: DType,
    shape: readonly number[],
    device: string,
    options?: { event?: bigint },
  ): Tensor {
    const address = checkAddress(pointer, 'pointer');
    const type = checkDType(dtype);
    const lengths = checkShape(shape, itemSize(type));
    checkArgumentCount(
      arguments,
      5,
      'Tensor.fromDevicePointer(pointer, dtype, shape, device, options)',
    );
    const { event } = checkOptions(options, ['event']);
    const after = event === undefined ? undefined : checkAddress(event, 'event');
    return wrapHandle(native.fromDevicePointer(address, type, lengths, checkDevice(device), after));
  }

  /**
   * A tensor over the array of a tensor of onnxruntime-node or transformers.js, without a copy. A
   * forward copies the array, as it copies each array of the caller, before it returns its promise.
   * Disposing one of the two tensors does not change the other.
   * @param tensor a tensor of type float64, float32, float16, int32 or int64, with its data on the cpu.
   * @throws LatteError ERR_VALUE for anything but a tensor of ONNX Runtime, ERR_DTYPE for another
   *   type, ERR_DISPOSED if ONNX Runtime disposed the tensor, ERR_STATE if its data is not on the cpu
   *   or is detached.
   */
  static fromOrt(tensor: OrtTensorLike): Tensor {
    checkArgumentCount(arguments, 1, 'Tensor.fromOrt(tensor)');
    const { dtype, data, shape } = readOrtTensor(tensor);
    return new Tensor(dtype, data, shape);
  }

  /** The element type. */
  get dtype(): DType {
    return this.#state.dtype;
  }

  /** The length of each axis; [] for a scalar. */
  get shape(): number[] {
    return [...this.#state.shape];
  }

  /** The number of elements. */
  get size(): number {
    return this.#state.size;
  }

  /** The number of bytes that the elements take. */
  get byteLength(): number {
    return byteLengthOf(this.#state);
  }

  /** 'cpu', 'npu:0' … */
  get device(): string {
    return this.#state.device;
  }

  /**
   * The address of the elements in the device's memory, for other ACL addons of this process. The
   * address is valid until the tensor is disposed. Keep a reference to the tensor: a tensor that is
   * collected is disposed. The result of a forward is in this memory once its promise has resolved.
   * @throws LatteError ERR_DISPOSED; ERR_STATE for a tensor on the cpu, which has {@link data}.
   */
  get devicePointer(): bigint {
    const handle = handleOf(this.#state, 'tensor');
    if (this.device === 'cpu') {
      throw new LatteError(
        'ERR_STATE',
        "the tensor is on the cpu and has no device pointer; use data, or (await tensor.to('npu:0')).devicePointer",
      );
    }
    return native.devicePointer(handle);
  }

  /**
   * The elements as a typed array over the tensor's memory, without a copy. (Electron allows no array
   * over an addon's memory: there the elements move once to the array's.)
   *
   * The data of a float16 tensor is a Float16Array if the runtime has that class, else a Uint16Array
   * of bits; the data of a bfloat16 tensor is a Uint16Array of bits. If the tensor owns its memory,
   * disposing the tensor detaches the array.
   * @throws LatteError ERR_DISPOSED; ERR_STATE for a tensor that is not on the cpu, or whose array
   *   was transferred or shrunk.
   */
  get data(): TensorData {
    handleOf(this.#state, 'tensor');
    if (this.device !== 'cpu') {
      throw new LatteError(
        'ERR_STATE',
        `data is on ${this.device}; use (await tensor.to('cpu')).data`,
      );
    }
    const state = this.#state;
    if (state.data === undefined) {
      state.buffer = native.arrayBuffer(state.handle, state.use.writes > 0);
      state.data = new (arraysOf(state.dtype).array)(state.buffer, 0, state.size);
    }
    return state.data;
  }

  /**
   * Copies the tensor to another device, converts it to another dtype, or both. Conversions round to
   * nearest, ties to even. If device and dtype stay the same, the new tensor shares the memory of this
   * one; dispose both.
   * @throws LatteError ERR_DEVICE_UNAVAILABLE, ERR_DTYPE, ERR_DISPOSED, ERR_OUT_OF_MEMORY,
   *   ERR_DEVICE; ERR_STATE for a tensor on the cpu that a forward still writes.
   * @example
   * ```ts
   * using onNpu = await tensor.to({ device: 'npu:0', dtype: 'bfloat16' });
   * ```
   */
  async to(target: string | TensorTarget): Promise<Tensor> {
    checkArgumentCount(arguments, 1, 'to({ device, dtype })');
    if (target === undefined) {
      throw new LatteError(
        'ERR_VALUE',
        'target must be a device or { device, dtype }, but is undefined',
      );
    }
    const wanted: TensorTarget =
      typeof target === 'string'
        ? { device: target }
        : checkOptions(target, ['device', 'dtype'], 'target');
    const state = this.#state;
    const device = wanted.device === undefined ? state.device : resolveDevice(wanted.device);
    const dtype = wanted.dtype === undefined ? state.dtype : checkDType(wanted.dtype);
    const handle = handleOf(state, 'tensor');
    if (device === state.device && dtype === state.dtype) {
      const alias = wrapsArray(state)
        ? new Tensor(dtype, state.data!, state.shape)
        : wrapHandle(native.alias(handle));
      alias.#state.use = state.use;
      return alias;
    }
    const release = startReading(state, 'tensor', device);
    try {
      return await resultOf((results) => native.convert(handle, dtype, device, results));
    } finally {
      release();
    }
  }

  /**
   * The elements, converted to float32, in a new Float32Array.
   * @throws LatteError ERR_STATE for a tensor that is not on the cpu, or that a forward still writes;
   *   ERR_DISPOSED.
   */
  toFloat32Array(): Float32Array {
    const handle = handleToReadNow(this.#state, 'tensor');
    if (this.device !== 'cpu') {
      throw new LatteError(
        'ERR_STATE',
        `data is on ${this.device}; use (await tensor.to('cpu')).toFloat32Array()`,
      );
    }
    if (this.dtype === 'float32') return new Float32Array(this.data as Float32Array);
    using converted = convertNow(handle, 'float32', 'cpu');
    return (converted.data as Float32Array).slice();
  }

  /**
   * A tensor of onnxruntime-node or transformers.js over this tensor's memory, without a copy. It can
   * be an input of a session, or an output that the session fills. Do not dispose this tensor while a
   * session uses the other one: if this tensor owns its memory, the array would be detached, and `run`
   * would reject with "not enough space".
   *
   * The data of a float16 result is a Uint16Array in every version of Node.js, because ONNX Runtime
   * reads no Float16Array.
   * @param ort the caller's module, onnxruntime-node or `@huggingface/transformers`.
   * @throws LatteError ERR_VALUE if `ort` has no class Tensor; ERR_DTYPE for bfloat16, which ONNX
   *   Runtime's JavaScript does not have; ERR_STATE for a tensor that is not on the cpu or that a
   *   forward still writes; ERR_DISPOSED.
   */
  toOrt<T>(ort: OrtModule<T>): T {
    checkArgumentCount(arguments, 1, 'toOrt(ort)');
    checkForOrt(this.#state);
    return makeOrtTensor(ort, this.#state.dtype, this.data, this.#state.shape);
  }

  /** Whether {@link dispose} was called. */
  get disposed(): boolean {
    return this.#state.disposed;
  }

  /**
   * Frees the tensor's memory; a second call does nothing. A forward that is under way keeps the memory
   * that it needs. Do not dispose a tensor while another API (a file write, for example) uses
   * {@link data}.
   */
  dispose(): void {
    const state = this.#state;
    if (state.disposed) return;
    state.disposed = true;
    native.disposeTensor(state.handle);
    state.buffer = undefined;
    state.data = undefined;
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  /**
   * A text with the dtype, the shape and the device; of a tensor on the cpu also with the first
   * values: `Tensor(float32, [2, 3], cpu) [0.5, 1, 1.5, 2, 2.5, 3]`. console.log prints the same text.
   * This method never throws, and never waits for a device.
   */
  toString(): string {
    const state = this.#state;
    const kind = `${state.dtype}, ${showShape(state.shape)}`;
    if (state.disposed) return `Tensor(${kind}, disposed)`;
    if (elementsLeft(state) < state.size) return `Tensor(${kind}, detached)`;
    const text = `Tensor(${kind}, ${state.device})`;
    if (state.device !== 'cpu') return text;
    if (state.use.writes > 0) return `${text} being written by a forward`;
    return `${text} ${firstValues(state.dtype, this.data)}`;
  }
}

/** Whether a value is a tensor of this library (a proxy of one is not). @internal */
export function isTensor(value: unknown): value is Tensor {
  return typeof value === 'object' && value !== null && isOwn(value);
}

/** Runs work with one result on the calling thread; disposes the result if the work fails. @internal */
export function resultNow(run: (results: NativeTensors) => void): Tensor {
  const results = handleList(1);
  try {
    run(results);
    return wrapHandle(results[0]!);
  } catch (error) {
    disposeHandle(results[0]);
    throw error;
  }
}

/** Starts work with one result on another thread; disposes the result if the work fails. @internal */
export async function resultOf(start: (results: NativeTensors) => Promise<void>): Promise<Tensor> {
  const results = handleList(1);
  try {
    await settled(start(results));
    return wrapHandle(results[0]!);
  } catch (error) {
    disposeHandle(results[0]);
    throw error;
  }
}

/** Copies a tensor to a dtype and a device while the calling thread waits. @internal */
export function convertNow(handle: NativeTensor, dtype: DType, device: string): Tensor {
  return resultNow((results) => native.convertSync(handle, dtype, device, results));
}

function checkAddress(value: unknown, name: string): bigint {
  if (typeof value === 'bigint' && value > 0n && value < 2n ** 64n) return value;
  throw new LatteError(
    'ERR_VALUE',
    `${name} must be a bigint from 1n to 2n ** 64n - 1n, but is ${show(value)}`,
  );
}
