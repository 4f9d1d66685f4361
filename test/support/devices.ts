import { deviceDiagnostics, devices, type DType } from '../../lib/index.js';
import { onTwin } from './twin.js';

/**
 * The devices that tables of cases run on: all of this process. On the twin it is npu:0 alone: the
 * cpu is tested without it, and npu:1 is the same code.
 */
export const testedDevices: readonly string[] = onTwin
  ? ['npu:0']
  : devices().map(({ name }) => name);

/** Where layers compute unless told otherwise. */
export const defaultDevice: string = devices().find(({ kind }) => kind === 'npu')?.name ?? 'cpu';

/** The dtype of the position table that a layer adds: without the plugin an NPU rounds it first. */
export function tableDtype(device: string, dtype: DType): 'float32' | 'float16' | 'bfloat16' {
  const rounds = device.startsWith('npu') && deviceDiagnostics().npu.kernelsPlugin !== true;
  return rounds && (dtype === 'float16' || dtype === 'bfloat16') ? dtype : 'float32';
}

/** Whether layers compute in this dtype on a device: the first Ascend 910 has float16 alone. */
export function computes(device: string, dtype: DType): boolean {
  const soc = devices().find(({ name }) => name === device)?.soc ?? '';
  return !/^Ascend910(?!B\d|_93)/.test(soc) || dtype === 'float16';
}
