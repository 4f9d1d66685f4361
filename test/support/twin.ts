import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

// The simulated NPUs of test/twin, for tests that count what the addon asks of them or make it
// fail. `npm run twin -- …` sets the environment.

/** What the twin has seen since the last reset. */
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
  /** Succeeds, and surfaces when the stream is next synchronised. */
  async?: boolean;
  /** Does not end before the faults are cleared, and then fails with 507014. In place of a code. */
  hangs?: boolean;
  /** The index of the NPU; any unless told otherwise. */
  device?: number;
}

export interface TwinControl {
  counters(): Counters;
  reset(): void;
  inject(fault: Fault): void;
  /** Faults that have not come to pass are taken back; gives how many. */
  clearFaults(): number;
  loseDevice(index: number): void;
  /** Overwrites all memory of a device. */
  loseMemory(index: number): void;
  /**
   * Whether streams that are made from now on can stop on failure. If not,
   * aclrtSetStreamFailureMode returns 207000, as with older firmware.
   */
  supportStopMode(supported: boolean): void;
  /** aclInit, by somebody else of the process. */
  initialise(): void;
  /** The memory of each device, in bytes. */
  setMemory(bytes: number): void;
  /** What the twin's strict checks found, in words. */
  violations(): string[];
  /**
   * What another addon of the process does with an NPU: fills memory of its own, late, and gives the
   * event behind that; copies from any memory; gives everything back.
   */
  fillForeign(device: number, bytes: Uint8Array): { pointer: bigint; event: bigint };
  readForeign(device: number, pointer: bigint, bytes: number): Uint8Array | undefined;
  freeForeign(): void;
  /** The violations, which were meant: the process may end well. */
  takeViolations(): string[];
}

const file = join(process.env.ASCEND_HOME_PATH ?? '', 'lib64', 'twin_control.node');

/** Whether this process runs on the twin. */
export const onTwin = process.env.ASCEND_HOME_PATH !== undefined && existsSync(file);

/** The twin's own side. Only where {@link onTwin}. */
export function twin(): TwinControl {
  return createRequire(__filename)(file) as TwinControl;
}
