import { checkDevice } from './device.js';
import { native } from './native.js';
import { checkArgumentCount, checkOptions } from './options.js';

/** The memory that tensors take, in bytes. */
export interface MemoryUsage {
  /** Held by tensors of the library, weights among them. */
  live: number;
  /** Free, and kept for the next tensors; on the cpu, large blocks for some seconds at most. */
  pooled: number;
  /**
   * The most that `live` may become; beyond it allocations fail with ERR_OUT_OF_MEMORY. 0 for an NPU
   * that is not open.
   */
  limit: number;
}

/**
 * What the library's pool on a device holds, in the whole process: worker threads share it.
 * @param options device: default 'cpu'.
 * @throws LatteError ERR_VALUE, ERR_DEVICE_UNAVAILABLE.
 */
export function memoryUsage(options?: { device?: string }): MemoryUsage {
  checkArgumentCount(arguments, 1, 'memoryUsage(options)');
  const { device } = checkOptions(options, ['device']);
  return native.memoryUsage(device === undefined ? 'cpu' : checkDevice(device));
}
