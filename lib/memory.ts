import { native } from './native.js';

/** The memory that tensors take, in bytes. */
export interface MemoryUsage {
  /** Held by tensors of the library, weights among them. */
  live: number;
  /** Free, and kept for the next tensors. */
  pooled: number;
  /** The most that `live` may become; beyond it allocations fail with ERR_OUT_OF_MEMORY. */
  limit: number;
}

/** What the library's pool holds, in the whole process: worker threads share it. */
export function memoryUsage(): MemoryUsage {
  return native.memoryUsage();
}
