import { LatteError, show } from './errors.js';
import { native, type DeviceInfo } from './native.js';

export type { DeviceInfo };

/** Why the NPU is, or is not, available. */
export interface DeviceDiagnostics {
  npu: {
    available: boolean;
    /** In words that say what to do about it. */
    reason: string;
    /** The CANN library that was tried. */
    libraryPath: string | undefined;
    /** What the loader said of it. */
    loaderMessage: string | undefined;
    /** The chip ('Ascend910B3' …). */
    soc: string | undefined;
    /** Whether the plugin with the Ascend C kernels was found. */
    kernelsPlugin: boolean;
  };
  /** The two variables that hide or show NPUs to a process. */
  visibility: {
    ASCEND_RT_VISIBLE_DEVICES: string | undefined;
    ASCEND_VISIBLE_DEVICES: string | undefined;
  };
}

const npuReason = 'this release has no Ascend backend: its layers run on the cpu only';

/** The devices of this process; the cpu always comes first. Never throws because CANN is absent. */
export function devices(): DeviceInfo[] {
  return native.devices();
}

/** What is known about the NPU's absence or presence, for people who look for the reason. */
export function deviceDiagnostics(): DeviceDiagnostics {
  return {
    // No library is tried, so there is nothing that a loader could have said.
    npu: {
      available: false,
      reason: npuReason,
      libraryPath: undefined,
      loaderMessage: undefined,
      soc: undefined,
      kernelsPlugin: false,
    },
    visibility: {
      ASCEND_RT_VISIBLE_DEVICES: process.env.ASCEND_RT_VISIBLE_DEVICES,
      ASCEND_VISIBLE_DEVICES: process.env.ASCEND_VISIBLE_DEVICES,
    },
  };
}

/**
 * Checks a device that came from the caller, and gives its full name.
 * @internal
 */
export function checkDevice(device: unknown): string {
  if (device === 'cpu') return device;
  if (typeof device === 'string' && /^npu(:\d{1,4})?$/.test(device)) {
    throw new LatteError(
      'ERR_DEVICE_UNAVAILABLE',
      `device ${show(device)} is not available: ${npuReason}`,
    );
  }
  throw new LatteError(
    'ERR_VALUE',
    `device must be 'cpu', 'npu' or 'npu:0', 'npu:1' …, but is ${show(device)}`,
  );
}

let announced = false;

/**
 * The device of a layer: 'auto', the default, takes the first NPU, else the cpu, and says once that
 * it fell back.
 * @internal
 */
export function resolveDevice(device: unknown): string {
  if (device !== undefined && device !== 'auto') return checkDevice(device);
  if (!announced) {
    announced = true;
    process.emitWarning(`device 'auto' uses the cpu: ${npuReason}`, {
      type: 'LatteWarning',
      code: 'LATTE_CPU_FALLBACK',
    });
  }
  return 'cpu';
}
