import { LatteError, show } from './errors.js';
import { native, settled, type DeviceInfo } from './native.js';
import { checkNoOptions } from './options.js';

export type { DeviceInfo };

/** Why the NPU is, or is not, available. */
export interface DeviceDiagnostics {
  npu: {
    available: boolean;
    /** One sentence for people; if no NPU is available, it names what to do. */
    reason: string;
    /** The CANN library that was loaded, or that failed to load. */
    libraryPath: string | undefined;
    /** The dynamic loader's message, if the library failed to load. */
    loaderMessage: string | undefined;
    /** The chip ('Ascend910B3' …). */
    soc: string | undefined;
    /** What to expect of a chip that this package was not tried on, or does not support. */
    chipNote: string | undefined;
    /** The version of the ACL interface ('1.14.0'). CANN's own version is another number. */
    aclVersion: string | undefined;
    /** How many NPUs this process can see. */
    deviceCount: number;
    /** Whether the plugin with the Ascend C kernels was found and, once an NPU is open, used. */
    kernelsPlugin: boolean;
    /** The path at which the plugin was found, or was expected. */
    kernelsPluginPath: string | undefined;
    /**
     * What an open NPU computes with: 'fused', 'kernels' or 'operations', followed by how kernels are
     * launched; docs/ascend.md describes each. Of several open NPUs, that with the highest number.
     */
    kernelsRung: string | undefined;
    /** Why the plugin, or some of its kernels, are not used. */
    kernelsReason: string | undefined;
    /**
     * Whether an open NPU records the operations of a timestep's embedding once, and replays the
     * record in later forwards. Undefined if no NPU is open.
     */
    captures: boolean | undefined;
    /** Why forwards are not recorded, or why one of them was not. */
    captureReason: string | undefined;
  };
  /** The two variables that hide or show NPUs to a process. */
  visibility: {
    ASCEND_RT_VISIBLE_DEVICES: string | undefined;
    ASCEND_VISIBLE_DEVICES: string | undefined;
  };
}

/**
 * The devices of this process; the cpu always comes first. If CANN is absent, the cpu is the only
 * one. This function opens no NPU; an NPU has its `memory` only once it is open.
 * @example
 * ```ts
 * for (const { name, soc } of devices()) console.log(name, soc ?? '');
 * ```
 */
export function devices(): DeviceInfo[] {
  return native.devices();
}

/**
 * Opens an NPU ahead of its first use, on a thread of its own, so that the event loop stays free.
 * If it is not called, the first forward, `loadStateDict` or tensor on the NPU opens the device. It
 * does nothing for the cpu, or for an NPU that is open. After a failure, the next use tries again.
 * @param name 'cpu', 'npu' or 'npu:0', 'npu:1' …
 * @throws LatteError (as a rejection) ERR_VALUE, ERR_DEVICE_UNAVAILABLE with the reason.
 */
export async function openDevice(name: string): Promise<void> {
  checkNoOptions(arguments, 1, 'openDevice(name)');
  await settled(native.openDevice(checkDevice(name)));
}

/** Why NPUs are, or are not, available to this process. This function opens no NPU. */
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
 * Checks the name of a device that the caller gave, and that this process has the device.
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

/** Which NPUs this process has, for the message about one that it does not have. */
function describeNpus(count: number): string {
  const list = process.env.ASCEND_RT_VISIBLE_DEVICES;
  const range = count === 1 ? 'npu:0' : `npu:0 to npu:${count - 1}`;
  const renumbered =
    list === undefined ? '' : `: ASCEND_RT_VISIBLE_DEVICES=${list} numbers them anew, from 0`;
  return `this process sees ${count} ${count === 1 ? 'NPU' : 'NPUs'}, ${range}${renumbered}`;
}

let announced = false;

/**
 * The device that an option names. 'auto', the default, means the first NPU, or the cpu if there is
 * none. The first time that 'auto' means the cpu, a process warning is emitted with the reason.
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
