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

/** Tells the constructor that it is given a handle of the addon. */
const ownedHandle = Symbol('ownedHandle');

/** Where {@link Tensor.to} puts a tensor, and in which dtype. */
export interface TensorTarget {
  /** 'cpu', 'npu' or 'npu:0' …; 'auto': the first NPU, else the cpu. */
  device?: string;
  dtype?: DType;
}

// The library's way to a tensor's private state; set by the class, which alone can read it.
let isOwn: (value: object) => value is Tensor;

/** The state of a tensor, whatever properties a program gave the object. @internal */
export let stateOf: (tensor: Tensor) => TensorState;

/**
 * A tensor over a handle of the addon, which it owns from now on.
 * @internal
 */
export let wrapHandle: (handle: NativeTensor) => Tensor;

/**
 * An n-dimensional array in row-major order, on the CPU or on a device.
 *
 * A tensor made from a typed array wraps it without copying and does not own it. A tensor that the
 * library made owns its memory, which comes from a pool and returns there when the tensor is
 * disposed or collected. Dispose large tensors as soon as they are no longer needed: the garbage
 * collector frees what a synchronous loop leaves behind only after a turn of the event loop.
 */
export class Tensor {
  readonly #state: TensorState;

  /**
   * @param dtype the element type.
   * @param data a typed array of the kind that holds `dtype` (wrapped without copying; float16 and
   *   bfloat16 data as Uint16Array bits), or an array of numbers (values, copied and rounded to
   *   nearest, ties to even).
   * @param shape the length of each axis; [data.length] when left out.
   * @throws LatteError ERR_DTYPE for an array of another kind, ERR_SHAPE if shape and length
   *   disagree, ERR_VALUE for shared memory or numbers that the dtype cannot hold, ERR_STATE for a
   *   detached array.
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
    // For console.log and util.inspect.
    Object.defineProperty(this.prototype, Symbol.for('nodejs.util.inspect.custom'), {
      value(this: object): string {
        return isOwn(this) ? this.toString() : 'Tensor {}';
      },
      writable: true,
      configurable: true,
    });
  }

  /**
   * A tensor of zeros in the library's own aligned memory. On an NPU this waits for the device.
   * @param options dtype: default 'float32'. device: default 'cpu'.
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
   * A tensor over memory of a device that another ACL addon of this process owns, without a copy.
   * Disposing the tensor does not free the memory. Its owner has to keep it until this tensor and
   * what `to()` returned of it unchanged are disposed, and every forward that took one has settled.
   * Work on the tensor runs after `event`. The owner records that on its own stream, behind what
   * fills the memory, and keeps it until the first work on the tensor is done. If the device cannot
   * wait for the event, that work is rejected, and the next one tries again. Without an event, the
   * memory must be filled already. This function itself does not use the device.
   * @param pointer the address in the device's memory, a multiple of the dtype's size.
   * @param options event an aclrtEvent, as a bigint.
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
   * A tensor over the array of a tensor of onnxruntime-node or transformers.js: the same memory,
   * without a copy. As with any array of the caller, a forward copies it in before it returns its
   * promise. Disposing one of the two leaves the other as it is.
   * @param tensor of type float64, float32, float16, int32 or int64, with its data on the cpu.
   * @throws LatteError ERR_VALUE for anything else than such a tensor, ERR_DTYPE for another type,
   *   ERR_DISPOSED if ONNX Runtime disposed it, ERR_STATE if its data is elsewhere or detached.
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
   * The address of the elements in the device's memory, for other ACL addons of this process. It is
   * valid until the tensor is disposed (keep a reference: a collected tensor is disposed); what a
   * forward writes is there when its promise has resolved.
   * @throws LatteError ERR_DISPOSED; ERR_STATE for a tensor on the cpu, whose memory is {@link data}.
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
   * The elements as a typed array over the tensor's memory (no copy; in a runtime that refuses
   * arrays over an addon's memory, the tensor moves to the array). float16: Float16Array if
   * the runtime has it, else Uint16Array bits; bfloat16: Uint16Array bits. Disposing a tensor that
   * owns its memory detaches the array.
   * @throws LatteError ERR_DISPOSED; ERR_STATE for a tensor that is not on the cpu.
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
   * This tensor on another device, in another dtype, or both (to nearest, ties to even). If
   * nothing changes, the new tensor shares the memory of this one; each is disposed on its own.
   * @throws LatteError ERR_DEVICE_UNAVAILABLE, ERR_DTYPE, ERR_DISPOSED, ERR_OUT_OF_MEMORY,
   *   ERR_DEVICE; ERR_STATE for a tensor on the cpu that a forward is still writing.
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
      const twin = wrapsArray(state)
        ? new Tensor(dtype, state.data!, state.shape)
        : wrapHandle(native.alias(handle));
      twin.#state.use = state.use;
      return twin;
    }
    const release = startReading(state, 'tensor', device);
    try {
      return await resultOf((results) => native.convert(handle, dtype, device, results));
    } finally {
      release();
    }
  }

  /**
   * The values as a new Float32Array (converted if the dtype is another).
   * @throws LatteError ERR_STATE for a tensor that is not on the cpu, ERR_DISPOSED.
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
   * A tensor of onnxruntime-node or transformers.js over this tensor's memory, without a copy: as an
   * input of a session, or as an output that the session is to fill. Keep this tensor undisposed while
   * a session uses the other one: disposing this one detaches the array, if the library made it, and
   * `run` then rejects with "not enough space".
   *
   * The data of a float16 result is a Uint16Array in every version of Node.js, because ONNX Runtime
   * reads no Float16Array.
   * @param ort the caller's module, onnxruntime-node or `@huggingface/transformers`.
   * @throws LatteError ERR_VALUE if `ort` has no class Tensor; ERR_DTYPE for bfloat16, which ONNX
   *   Runtime's JavaScript does not have; ERR_STATE for a tensor that is not on the cpu or that a
   *   forward is writing; ERR_DISPOSED.
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
   * Gives the tensor's memory back; a second call does nothing. A forward that is under way keeps
   * what it needs. Do not dispose while another API (a file write, for example) still uses {@link data}.
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
   * The dtype, the shape, the device and, of a tensor on the cpu, the first values:
   * `Tensor(float32, [2, 3], cpu) [0.5, 1, 1.5, 2, 2.5, 3]`. console.log prints the same. Never
   * throws, and never waits for a device.
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

/** The one result of work on the calling thread; given back if the work fails. @internal */
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

/** The one result of work on another thread; given back if the work fails. @internal */
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

/** A copy of another dtype or device, made while the calling thread waits. @internal */
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
