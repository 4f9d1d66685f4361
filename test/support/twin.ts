import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

// Controls the simulated NPUs of test/twin, for tests that count the addon's calls or make them fail. `npm
// run twin -- …` sets the environment.

/** The twin's counters since the last reset. */
export interface Counters {
  /** aclnn operations and kernels of the plugin that were put on a stream. */
  launches: number;
  launchesByName: Record<string, number>;
  /** Kernels that launches started. An aclnn operation may start several, or none. */
  kernels: number;
  kernelsByName: Record<string, number>;
  /** Bytes of device memory that kernels and copies on the device read and wrote. */
  bytesMoved: number;
  /** The part of these bytes that a model of the L2 cache does not hold (test/twin/runtime/traffic.h). */
  bytesPastL2: number;
  executorsMade: number;
  deviceAllocations: number;
  hostAllocations: number;
  copies: number;
  copiedBytes: number;
  liveDeviceBytes: number;
  liveHostBytes: number;
  /** The numbers of tensors, executors, events … that were created and not yet destroyed. */
  liveHandles: Record<string, number>;
  /** How often each function of CANN was called. */
  calls: Record<string, number>;
}

/**
 * A failure of one call: the `nth` (from 1) from now on of a function, or of 'launch', 'copy',
 * 'synchronise' or 'allocate'.
 */
export interface Fault {
  call: string;
  nth: number;
  code?: number;
  /** The call succeeds, and the stream's next synchronisation fails. */
  async?: boolean;
  /** Instead of a code: the task hangs until the faults are cleared, then fails with 507014. */
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
  /** Overwrites all memory of a device with NaN. */
  loseMemory(index: number): void;
  /**
   * Sets whether new streams can stop on failure. If not, aclrtSetStreamFailureMode returns 207000, as with
   * older firmware.
   */
  supportStopMode(supported: boolean): void;
  /** Calls aclInit, as another addon in the process would. */
  initialise(): void;
  /** The memory of each device, in bytes. */
  setMemory(bytes: number): void;
  /** Texts of the rules that were broken. */
  violations(): string[];
  /**
   * Acts as another addon that uses an NPU. Fills memory of its own after a delay, and returns the event
   * that is recorded after that. Other functions copy from any memory, and release everything.
   */
  fillForeign(device: number, bytes: Uint8Array): { pointer: bigint; event: bigint };
  readForeign(device: number, pointer: bigint, bytes: number): Uint8Array | undefined;
  freeForeign(): void;
  /** Returns the violations and removes them, so that they do not fail the process. */
  takeViolations(): string[];
}

const file = join(process.env.ASCEND_HOME_PATH ?? '', 'lib64', 'twin_control.node');

/** Whether this process runs on the twin. */
export const onTwin = process.env.ASCEND_HOME_PATH !== undefined && existsSync(file);

/** The addon that controls the twin. Call it only if {@link onTwin} is true. */
export function twin(): TwinControl {
  return createRequire(__filename)(file) as TwinControl;
}
