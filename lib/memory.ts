import { checkDevice } from './device.js';
import { native } from './native.js';
import { checkArgumentCount, checkOptions } from './options.js';

/** The memory of the library's pool on a device, in bytes. */
export interface MemoryUsage {
  /** Used by tensors that the library made, and by layers' weights. */
  live: number;
  /** Free memory that is kept for the next tensors. On the cpu, large blocks stay some seconds. */
  pooled: number;
  /**
   * The most that `live` may become; an allocation beyond it fails with ERR_OUT_OF_MEMORY. 0 for an
   * NPU that is not open.
   */
  limit: number;
}

/**
 * How much memory the library's pool on a device holds. All worker threads of a process share it.
 * @param options `device`: 'cpu' (the default), 'npu' or 'npu:0' …
 * @throws LatteError ERR_VALUE, ERR_DEVICE_UNAVAILABLE.
 */
export function memoryUsage(options?: { device?: string }): MemoryUsage {
  checkArgumentCount(arguments, 1, 'memoryUsage(options)');
  const { device } = checkOptions(options, ['device']);
  return native.memoryUsage(device === undefined ? 'cpu' : checkDevice(device));
}
