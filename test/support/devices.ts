import { deviceDiagnostics, devices, type DType } from '../../lib/index.js';
import { onTwin } from './twin.js';

/**
 * The devices on which tables of cases run: all of this process. On the twin only npu:0, because the CPU is
 * tested without the twin, and npu:1 runs the same code.
 */
export const testedDevices: readonly string[] = onTwin
  ? ['npu:0']
  : devices().map(({ name }) => name);

/** The device on which layers compute by default. */
export const defaultDevice: string = devices().find(({ kind }) => kind === 'npu')?.name ?? 'cpu';

/** The dtype of the position table that a layer adds. An NPU without the plugin rounds the table first. */
export function tableDtype(device: string, dtype: DType): 'float32' | 'float16' | 'bfloat16' {
  const rounds = device.startsWith('npu') && deviceDiagnostics().npu.kernelsPlugin !== true;
  return rounds && (dtype === 'float16' || dtype === 'bfloat16') ? dtype : 'float32';
}

/** Whether layers compute in this dtype on a device. The first Ascend 910 computes only in float16. */
export function computes(device: string, dtype: DType): boolean {
  const soc = devices().find(({ name }) => name === device)?.soc ?? '';
  return !/^Ascend910(?!B\d|_93)/.test(soc) || dtype === 'float16';
}
