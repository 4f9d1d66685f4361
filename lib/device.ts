import { LatteError, show } from './errors.js';
import { native, settled, type DeviceInfo } from './native.js';
import { checkNoOptions } from './options.js';

export type { DeviceInfo };

/** Why the NPU is, or is not, available. */
export interface DeviceDiagnostics {
  npu: {
    available: boolean;
    /** A sentence for people, which names what to do. */
    reason: string;
    /** The CANN library that was tried. */
    libraryPath: string | undefined;
    /** The dynamic loader's message about it. */
    loaderMessage: string | undefined;
    /** The chip ('Ascend910B3' …). */
    soc: string | undefined;
    /** What to expect of a chip that was not tried, or is not supported yet. */
    chipNote: string | undefined;
    /** The version of ACL's interface ('1.14.0'), which is not that of CANN. */
    aclVersion: string | undefined;
    /** How many NPUs this process can see. */
    deviceCount: number;
    /** Whether Ascend C kernels were found and, once an NPU is open, run on it. */
    kernelsPlugin: boolean;
    /** The path at which it was found, or expected. */
    kernelsPluginPath: string | undefined;
    /**
     * What the NPU that was opened last computes with: 'fused', 'kernels' or 'operations', with the
     * way in which kernels are launched.
     */
    kernelsRung: string | undefined;
    /** Why it is not used, or not all of its kernels. */
    kernelsReason: string | undefined;
    /**
     * Whether the NPU that was opened last captures the timestep path and replays it; undefined
     * while no NPU is open.
     */
    captures: boolean | undefined;
    /** Why it does not, or did not once. */
    captureReason: string | undefined;
  };
  /** The two variables that hide or show NPUs to a process. */
  visibility: {
    ASCEND_RT_VISIBLE_DEVICES: string | undefined;
    ASCEND_VISIBLE_DEVICES: string | undefined;
  };
}

/**
 * The devices of this process; the cpu always comes first. Never throws because CANN is absent, and
 * opens no NPU: `memory` is there for those that are open.
 */
export function devices(): DeviceInfo[] {
  return native.devices();
}

/**
 * Opens an NPU ahead of its first use, on its own thread; the event loop goes on meanwhile. Without
 * this the first forward, `loadStateDict` or tensor on the NPU opens it. Does nothing for the cpu, or
 * for an NPU that is open. After a failure, the next use tries again.
 * @param name 'cpu', 'npu' or 'npu:0', 'npu:1' …
 * @throws LatteError (as a rejection) ERR_VALUE, ERR_DEVICE_UNAVAILABLE with the reason.
 */
export async function openDevice(name: string): Promise<void> {
  checkNoOptions(arguments, 1, 'openDevice(name)');
  await settled(native.openDevice(checkDevice(name)));
}

/** Why NPUs are, or are not, available to this process. Opens none. */
export function deviceDiagnostics(): DeviceDiagnostics {
  const npu = native.deviceDiagnostics();
  return {
    npu: {
      available: npu.available,
      reason: npu.reason,
      libraryPath: npu.libraryPath,
      loaderMessage: npu.loaderMessage,
      soc: npu.soc,
      chipNote: npu.chipNote,
      aclVersion: npu.aclVersion,
      deviceCount: npu.deviceCount,
      kernelsPlugin: npu.kernelsPlugin,
      kernelsPluginPath: npu.kernelsPluginPath,
      kernelsRung: npu.kernelsRung,
      kernelsReason: npu.kernelsReason,
      captures: npu.captures,
      captureReason: npu.captureReason,
    },
    visibility: {
      ASCEND_RT_VISIBLE_DEVICES: process.env.ASCEND_RT_VISIBLE_DEVICES,
      ASCEND_VISIBLE_DEVICES: process.env.ASCEND_VISIBLE_DEVICES,
    },
  };
}

/**
 * Checks a device that came from the caller.
 * @returns its full name ('npu:0' for 'npu').
 * @throws LatteError ERR_VALUE, ERR_DEVICE_UNAVAILABLE.
 * @internal
 */
export function checkDevice(device: unknown): string {
  if (device === 'cpu') return device;
  const npu = typeof device === 'string' ? /^npu(?::(0|[1-9]\d{0,3}))?$/.exec(device) : null;
  if (npu === null) {
    throw new LatteError(
      'ERR_VALUE',
      `device must be 'cpu', 'npu' or 'npu:0', 'npu:1' …, but is ${show(device)}`,
    );
  }
  const index = Number(npu[1] ?? 0);
  const { available, deviceCount, reason } = native.deviceDiagnostics();
  if (available && index < deviceCount) return `npu:${index}`;
  const why = available ? describeNpus(deviceCount) : reason;
  throw new LatteError('ERR_DEVICE_UNAVAILABLE', `device ${show(device)} is not available: ${why}`);
}

/** Which NPUs there are, for the message about another one. */
function describeNpus(count: number): string {
  const list = process.env.ASCEND_RT_VISIBLE_DEVICES;
  const range = count === 1 ? 'npu:0' : `npu:0 to npu:${count - 1}`;
  const renumbered =
    list === undefined ? '' : `: ASCEND_RT_VISIBLE_DEVICES=${list} numbers them anew, from 0`;
  return `this process sees ${count} ${count === 1 ? 'NPU' : 'NPUs'}, ${range}${renumbered}`;
}

let announced = false;

/**
 * The device of a layer. 'auto', the default, means the first NPU, else the cpu; the first fallback
 * emits a process warning.
 * @internal
 */
export function resolveDevice(device: unknown): string {
  if (device !== undefined && device !== 'auto') return checkDevice(device);
  const { available, deviceCount, reason } = native.deviceDiagnostics();
  if (available && deviceCount > 0) return 'npu:0';
  if (!announced) {
    announced = true;
    process.emitWarning(`device 'auto' uses the cpu: ${reason}`, {
      type: 'LatteWarning',
      code: 'LATTE_CPU_FALLBACK',
    });
  }
  return 'cpu';
}
