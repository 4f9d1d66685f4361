import { arraysOf, checkDType, itemSize, type DType, type TensorData } from './dtype.js';
import { checkDevice, resolveDevice } from './device.js';
import { isArray, LatteError, show, showShape, typedArrayField, typedArrayKind } from './errors.js';
import {
  disposeHandle,
  handleList,
  native,
  settled,
  type NativeTensor,
  type NativeTensors,
} from './native.js';
import { checkArgumentCount, checkOptions } from './options.js';
import { checkArray, checkShape, firstValues, fromNumbers } from './tensor-data.js';

/** Forwards that are reading or writing a tensor's memory right now; shared by its aliases. */
interface Use {
  reads: number;
  /**
   * Those of `reads` that run on another device, or on none (a file is written): nothing orders them
   * with the forwards of the tensor's device.
   */
  distantReads: number;
  writes: number;
}

/** Where {@link Tensor.to} puts a tensor, and in which dtype. */
export interface TensorTarget {
  /** 'cpu', 'npu' or 'npu:0' …; 'auto': the first NPU, else the cpu. */
  device?: string;
  dtype?: DType;
}

// The doors through which the rest of the library reaches a tensor's private parts.
let wrap: (handle: NativeTensor) => Tensor;
let handleOf: (tensor: Tensor, name: string) => NativeTensor;
let useOf: (tensor: Tensor) => Use;
let deviceOf: (tensor: Tensor) => string;
let isBorrowed: (tensor: Tensor) => boolean;
let rowsOf: (tensor: Tensor, begin: number, count: number) => Tensor;
let isOwn: (value: object) => value is Tensor;

/**
 * An n-dimensional array in row-major order, on the CPU or on a device.
 *
 * A tensor made from a typed array wraps it without copying and does not own it. A tensor that the
 * library made owns its memory, which comes from a pool and returns there when the tensor is
 * disposed or collected. Dispose large tensors as soon as they are no longer needed: the garbage
 * collector sees only after a turn of the event loop what a synchronous loop leaves behind.
 */
export class Tensor {
  readonly #handle: NativeTensor;
  readonly #dtype: DType;
  readonly #shape: readonly number[];
  readonly #size: number;
  readonly #device: string;
  #use: Use = { reads: 0, distantReads: 0, writes: 0 };
  #data: TensorData | undefined;
  #buffer: ArrayBuffer | undefined;
  #disposed = false;

  /**
   * @param dtype the element type.
   * @param data a typed array of the kind that holds `dtype` (wrapped without copying; float16 and
   *   bfloat16 data as Uint16Array bits), or an array of numbers (values, copied and rounded to
   *   nearest, ties to even).
   * @param shape the length of each axis; [data.length] when left out.
   * @throws LatteError ERR_DTYPE for an array of another kind, ERR_SHAPE where shape and length
   *   disagree, ERR_VALUE for shared memory or numbers that the dtype cannot hold, ERR_STATE for a
   *   detached array.
   */
  constructor(dtype: DType, data: TensorData | readonly number[], shape?: readonly number[]);
  constructor(
    dtype: DType | typeof adopt,
    data: TensorData | readonly number[] | NativeTensor,
    shape?: readonly number[],
  ) {
    if (dtype === adopt) {
      this.#handle = data as NativeTensor;
      this.#dtype = native.tensorDType(this.#handle);
      this.#shape = Object.freeze(native.tensorShape(this.#handle));
      this.#device = native.tensorDevice(this.#handle);
      this.#size = this.#shape.reduce((product, length) => product * length, 1);
      return;
    }
    checkArgumentCount(arguments, 3, 'new Tensor(dtype, data, shape)');
    this.#dtype = checkDType(dtype);
    this.#device = 'cpu';
    const values = isArray(data) ? fromNumbers(this.#dtype, data, 'data') : (data as TensorData);
    const array = checkArray(this.#dtype, values);
    const length = typedArrayField(array, 'length');
    this.#shape = Object.freeze(
      shape === undefined ? [length] : checkShape(shape, itemSize(this.#dtype)),
    );
    this.#size = this.#shape.reduce((product, length) => product * length, 1);
    if (this.#size !== length) {
      throw new LatteError(
        'ERR_SHAPE',
        `shape ${showShape(this.#shape)} asks for ${this.#size} elements, but data has ${length}`,
      );
    }
    this.#data = array;
    // The addon reads 16-bit elements as such, whichever class of array shows them.
    const bits =
      itemSize(this.#dtype) === 2
        ? new Uint16Array(
            typedArrayField(array, 'buffer'),
            typedArrayField(array, 'byteOffset'),
            length,
          )
        : array;
    this.#handle = native.tensorFrom(this.#dtype, [...this.#shape], bits);
  }

  static {
    wrap = (handle) => {
      try {
        return new (Tensor as unknown as new (tag: symbol, handle: NativeTensor) => Tensor)(
          adopt,
          handle,
        );
      } catch (error) {
        disposeHandle(handle);
        throw error;
      }
    };
    handleOf = (tensor, name) => {
      if (tensor.#disposed) throw new LatteError('ERR_DISPOSED', `${name} was disposed`);
      tensor.#checkAttached(name);
      return tensor.#handle;
    };
    useOf = (tensor) => tensor.#use;
    deviceOf = (tensor) => tensor.#device;
    isBorrowed = (tensor) => tensor.#data !== undefined && tensor.#buffer === undefined;
    rowsOf = (tensor, begin, count) => {
      const part = wrap(native.rows(handleOf(tensor, 'tensor'), begin, count));
      part.#use = tensor.#use;
      return part;
    };
    isOwn = (value): value is Tensor => #handle in value;
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
   * @param options dtype 'float32' and device 'cpu' unless told otherwise.
   * @throws LatteError ERR_SHAPE, ERR_DTYPE, ERR_OUT_OF_MEMORY, ERR_DEVICE_UNAVAILABLE.
   */
  static zeros(shape: readonly number[], options?: { dtype?: DType; device?: string }): Tensor {
    checkArgumentCount(arguments, 2, 'Tensor.zeros(shape, options)');
    const given = checkOptions(options, ['dtype', 'device']);
    const dtype = given.dtype === undefined ? 'float32' : checkDType(given.dtype);
    const device = given.device === undefined ? 'cpu' : resolveDevice(given.device);
    return wrap(native.zeros(dtype, checkShape(shape, itemSize(dtype)), device));
  }

  /**
   * A tensor over memory of a device that another ACL addon of this process owns, without a copy.
   * The owner keeps the memory until this tensor, everything made of it by `to()` without a change,
   * and every promise of a forward that was given one of them are done; disposing the tensor does
   * not free it. Work on the tensor runs after `event`, which the owner has recorded on its own
   * stream behind what fills the memory, and keeps until the first work on the tensor is done. That
   * work is rejected if the device cannot wait for the event, and the next one tries again. Without
   * an event, the memory must be filled already. The device is not asked for anything here.
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
    return wrap(native.fromDevicePointer(address, type, lengths, checkDevice(device), after));
  }

  /** The element type. */
  get dtype(): DType {
    return this.#dtype;
  }

  /** The length of each axis; [] for a scalar. */
  get shape(): number[] {
    return [...this.#shape];
  }

  /** The number of elements. */
  get size(): number {
    return this.#size;
  }

  /** The number of bytes that the elements take. */
  get byteLength(): number {
    return this.#size * itemSize(this.#dtype);
  }

  /** 'cpu', 'npu:0' … */
  get device(): string {
    return this.#device;
  }

  /**
   * The address of the elements in the device's memory, for other ACL addons of this process. It is
   * valid until the tensor is disposed (keep a reference: a collected tensor is disposed); what a
   * forward writes is there when its promise has resolved.
   * @throws LatteError ERR_DISPOSED; ERR_STATE for a tensor on the cpu, whose memory is {@link data}.
   */
  get devicePointer(): bigint {
    const handle = handleOf(this, 'tensor');
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
   * arrays over an addon's memory, the tensor moves to the array). float16: Float16Array where
   * the runtime has it, else Uint16Array bits; bfloat16: Uint16Array bits. Disposing a tensor that
   * owns its memory detaches the array.
   * @throws LatteError ERR_DISPOSED; ERR_STATE for a tensor that is not on the cpu.
   */
  get data(): TensorData {
    handleOf(this, 'tensor');
    if (this.device !== 'cpu') {
      throw new LatteError(
        'ERR_STATE',
        `data is on ${this.device}; use (await tensor.to('cpu')).data`,
      );
    }
    if (this.#data === undefined) {
      this.#buffer = native.arrayBuffer(this.#handle, this.#use.writes > 0);
      this.#data = new (arraysOf(this.#dtype).array)(this.#buffer, 0, this.#size);
    }
    return this.#data;
  }

  /**
   * This tensor on another device, in another dtype, or both (to nearest, ties to even). Where
   * nothing changes the new tensor shares the memory of this one; each is disposed on its own.
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
    const device = wanted.device === undefined ? this.device : resolveDevice(wanted.device);
    const dtype = wanted.dtype === undefined ? this.#dtype : checkDType(wanted.dtype);
    const handle = handleOf(this, 'tensor');
    if (device === this.device && dtype === this.#dtype) {
      const twin = isBorrowed(this)
        ? new Tensor(dtype, this.#data!, this.#shape)
        : wrap(native.alias(handle));
      twin.#use = this.#use;
      return twin;
    }
    const release = startReading(this, 'tensor', device);
    try {
      return await resultOf((results) => native.convert(handle, dtype, device, results));
    } finally {
      release();
    }
  }

  /**
   * The values as a new Float32Array (converted where the dtype is another).
   * @throws LatteError ERR_STATE for a tensor that is not on the cpu, ERR_DISPOSED.
   */
  toFloat32Array(): Float32Array {
    const handle = readableTensor(this, 'tensor');
    if (this.device !== 'cpu') {
      throw new LatteError(
        'ERR_STATE',
        `data is on ${this.device}; use (await tensor.to('cpu')).toFloat32Array()`,
      );
    }
    if (this.#dtype === 'float32') return new Float32Array(this.data as Float32Array);
    using converted = convertNow(handle, 'float32', 'cpu');
    return (converted.data as Float32Array).slice();
  }

  /** Whether {@link dispose} was called. */
  get disposed(): boolean {
    return this.#disposed;
  }

  /**
   * Gives the tensor's memory back; a second call does nothing. A forward that is under way keeps
   * what it needs. Do not dispose while another API (a file write, say) still uses {@link data}.
   */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    native.disposeTensor(this.#handle);
    this.#buffer = undefined;
    this.#data = undefined;
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
    const kind = `${this.#dtype}, ${showShape(this.#shape)}`;
    if (this.#disposed) return `Tensor(${kind}, disposed)`;
    if (this.#elementsLeft() < this.#size) return `Tensor(${kind}, detached)`;
    const text = `Tensor(${kind}, ${this.device})`;
    if (this.device !== 'cpu') return text;
    if (this.#use.writes > 0) return `${text} being written by a forward`;
    return `${text} ${firstValues(this.#dtype, this.data)}`;
  }

  #elementsLeft(): number {
    if (this.#data === undefined || this.#buffer !== undefined) return this.#size;
    return typedArrayField(this.#data, 'length');
  }

  /** A caller's array may have been transferred or shrunk since it was wrapped. */
  #checkAttached(name: string): void {
    const left = this.#elementsLeft();
    if (left < this.#size) {
      throw new LatteError(
        'ERR_STATE',
        `the array behind ${name} was detached or shrunk: ${this.#size} elements were expected, ${left} are left`,
      );
    }
  }
}

const adopt = Symbol('adopt');

/** The device of a tensor, whatever properties a program gave the object. @internal */
export function tensorDevice(tensor: Tensor): string {
  return deviceOf(tensor);
}

/** Wraps a tensor that the addon made. @internal */
export function wrapTensor(handle: NativeTensor): Tensor {
  return wrap(handle);
}

/**
 * The addon's handle of a tensor, for a forward, which runs in order; `name` is what messages call it.
 * @throws LatteError ERR_DISPOSED, ERR_STATE.
 * @internal
 */
export function nativeTensor(tensor: Tensor, name: string): NativeTensor {
  return handleOf(tensor, name);
}

/** The same for one who reads at once: refused while a forward writes the tensor. @internal */
export function readableTensor(tensor: Tensor, name: string): NativeTensor {
  if (useOf(tensor).writes > 0) {
    throw new LatteError('ERR_STATE', `${name} is being written by another forward`);
  }
  return handleOf(tensor, name);
}

/** The counters of forwards that use a tensor. @internal */
export function tensorUse(tensor: Tensor): Use {
  return useOf(tensor);
}

/**
 * Refuses a tensor that a device's work would read while a forward of another device writes it.
 * Each device copies its own tensors out, in the order of its forwards; what is on the cpu is
 * copied by the device that needs it. A caller's array is copied when work on it is asked for, and
 * filled when the forward that writes it ends.
 * @internal
 */
export function checkOrder(tensor: Tensor, name: string, device: string): void {
  if (isBorrowed(tensor) && useOf(tensor).writes > 0) {
    throw new LatteError(
      'ERR_STATE',
      `${name} is over an array that a forward will still fill: await that first`,
    );
  }
  if (deviceOf(tensor) === 'cpu' && device !== 'cpu' && useOf(tensor).writes > 0) {
    throw new LatteError(
      'ERR_STATE',
      `${name} is still being written by a forward on the cpu: await that before ${name} goes to ${device}`,
    );
  }
}

/**
 * Marks a tensor as being read by work on a device, until the function that it gives is called.
 * @internal
 */
export function startReading(tensor: Tensor, name: string, device: string): () => void {
  checkOrder(tensor, name, device);
  return markReading(tensor, deviceOf(tensor) === 'cpu' && device !== 'cpu');
}

/** The same for what JavaScript reads over several turns of the event loop. @internal */
export function startReadingHere(tensor: Tensor, name: string): () => void {
  if (deviceOf(tensor) === 'cpu') readableTensor(tensor, name);
  else handleOf(tensor, name);
  return markReading(tensor, true);
}

function markReading(tensor: Tensor, isDistant: boolean): () => void {
  const use = useOf(tensor);
  const distant = isDistant ? 1 : 0;
  use.reads++;
  use.distantReads += distant;
  return () => {
    use.reads--;
    use.distantReads -= distant;
  };
}

/** The rows [begin, begin + count) of the first axis, over the same memory. @internal */
export function tensorRows(tensor: Tensor, begin: number, count: number): Tensor {
  return rowsOf(tensor, begin, count);
}

/** The tensor on a device, while the calling thread waits; the one given is disposed. @internal */
export function moveNow(tensor: Tensor, device: string): Tensor {
  if (tensor.device === device) return tensor;
  try {
    return convertNow(handleOf(tensor, 'tensor'), tensor.dtype, device);
  } finally {
    tensor.dispose();
  }
}

/** Each row of the first axis `times` times, on the tensor's device. @internal */
export async function repeatRows(tensor: Tensor, times: number): Promise<Tensor> {
  const handle = handleOf(tensor, 'tensor');
  return resultOf((results) => native.repeatRows(handle, times, results));
}

/** The one result of work on the calling thread; given back if the work fails. @internal */
export function resultNow(run: (results: NativeTensors) => void): Tensor {
  const results = handleList(1);
  try {
    run(results);
    return wrap(results[0]!);
  } catch (error) {
    disposeHandle(results[0]);
    throw error;
  }
}

/** The one result of work on another thread; given back if the work fails. */
async function resultOf(start: (results: NativeTensors) => Promise<void>): Promise<Tensor> {
  const results = handleList(1);
  try {
    await settled(start(results));
    return wrap(results[0]!);
  } catch (error) {
    disposeHandle(results[0]);
    throw error;
  }
}

function convertNow(handle: NativeTensor, dtype: DType, device: string): Tensor {
  return resultNow((results) => native.convertSync(handle, dtype, device, results));
}

function checkAddress(value: unknown, name: string): bigint {
  if (typeof value === 'bigint' && value > 0n && value < 2n ** 64n) return value;
  throw new LatteError(
    'ERR_VALUE',
    `${name} must be a bigint from 1n to 2n ** 64n - 1n, but is ${show(value)}`,
  );
}

/** What functions take where they want numbers: a tensor, a typed array, or numbers. */
export type TensorLike =
  | Tensor
  | TensorData
  | Int8Array
  | Uint8Array
  | Uint8ClampedArray
  | Int16Array
  | Uint32Array
  | BigUint64Array
  | readonly number[];

/** Whether a value is a tensor of this library (a proxy of one is not). @internal */
export function isTensor(value: unknown): value is Tensor {
  return typeof value === 'object' && value !== null && isOwn(value);
}

/** The typed arrays that are tensors as they are. */
const numberKinds: Readonly<Record<string, DType | undefined>> = {
  Float64Array: 'float64',
  Float32Array: 'float32',
  Float16Array: 'float16',
  Int32Array: 'int32',
  BigInt64Array: 'int64',
};

/**
 * A tensor of what the caller gave: itself, or a wrapper over a typed array (by its kind; 16-bit
 * integers are numbers here, not bits) or over numbers (as float64, which holds each exactly).
 * @internal
 */
export function asTensor(value: unknown, name: string): Tensor {
  if (isTensor(value)) return value;
  if (isArray(value)) return new Tensor('float64', fromNumbers('float64', value, name));
  const kind = typedArrayKind(value);
  const dtype = kind === undefined ? undefined : numberKinds[kind];
  if (dtype !== undefined) return new Tensor(dtype, value as TensorData);
  // Integers of other widths: float64 holds each of them (a BigUint64Array's as nearly as it can).
  if (kind !== undefined)
    return new Tensor('float64', Float64Array.from(value as Uint8Array, Number));
  throw new LatteError(
    'ERR_VALUE',
    `${name} must be a Tensor, a typed array or an array of numbers, but is ${show(value)}`,
  );
}
