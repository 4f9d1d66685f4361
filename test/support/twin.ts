import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

// The simulated NPUs of test/twin, for tests that count what the addon asks of them or make it
// fail. `npm run twin -- …` sets the environment.

/** The twin's counters since the last reset. */
export interface Counters {
  /** aclnn operations and kernels of the plugin that were put on a stream. */
  launches: number;
  launchesByName: Record<string, number>;
  /** Kernels that these started: an aclnn operation may start several, or none. */
  kernels: number;
  kernelsByName: Record<string, number>;
  /** Bytes of device memory that kernels and copies on the device read and wrote, every pass. */
  bytesMoved: number;
  /** Those of them that a model of the L2 cache does not hold (test/twin/runtime/traffic.h). */
  bytesPastL2: number;
  executorsMade: number;
  deviceAllocations: number;
  hostAllocations: number;
  copies: number;
  copiedBytes: number;
  liveDeviceBytes: number;
  liveHostBytes: number;
  /** Tensors, executors, events … that were made and not yet destroyed. */
  liveHandles: Record<string, number>;
  /** How often each function of CANN was called. */
  calls: Record<string, number>;
}

/**
 * One call that shall fail: the `nth` (from 1) from now on of a function, or of 'launch', 'copy',
 * 'synchronise' or 'allocate'.
 */
export interface Fault {
  call: string;
  nth: number;
  code?: number;
  /** The call succeeds, and the next synchronisation of the stream fails. */
  async?: boolean;
  /** Instead of a code: the task hangs until the faults are cleared, and then fails with 507014. */
  hangs?: boolean;
  /** The index of the NPU. Default: any. */
  device?: number;
}

export interface TwinControl {
  counters(): Counters;
  reset(): void;
  inject(fault: Fault): void;
  /** Removes faults that have not occurred, and returns their number. */
  clearFaults(): number;
  loseDevice(index: number): void;
  /** Overwrites all memory of a device. */
  loseMemory(index: number): void;
  /**
   * Whether streams that are made from now on can stop on failure. If not,
   * aclrtSetStreamFailureMode returns 207000, as with older firmware.
   */
  supportStopMode(supported: boolean): void;
  /** Calls aclInit, as another addon of the process would. */
  initialise(): void;
  /** The memory of each device, in bytes. */
  setMemory(bytes: number): void;
  /** The rules that were broken, as texts. */
  violations(): string[];
  /**
   * What another addon of the process does with an NPU: fills memory of its own, late, and gives the
   * event behind that; copies from any memory; gives everything back.
   */
  fillForeign(device: number, bytes: Uint8Array): { pointer: bigint; event: bigint };
  readForeign(device: number, pointer: bigint, bytes: number): Uint8Array | undefined;
  freeForeign(): void;
  /** Returns the violations and forgets them: they were intended, so the process may succeed. */
  takeViolations(): string[];
}

const file = join(process.env.ASCEND_HOME_PATH ?? '', 'lib64', 'twin_control.node');

/** Whether this process runs on the twin. */
export const onTwin = process.env.ASCEND_HOME_PATH !== undefined && existsSync(file);

/** The addon that controls the twin. Call it only if {@link onTwin} is true. */
export function twin(): TwinControl {
  return createRequire(__filename)(file) as TwinControl;
}
