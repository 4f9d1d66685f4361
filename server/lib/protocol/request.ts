import { invalid, show } from './errors.js';
import type { WireTensor } from './tensor.js';

/** An output that the client asked for. */
export interface RequestedOutput {
  readonly name: string;
  /** REST: whether the output is binary data after the JSON object. Default: `binaryOutputs`. */
  readonly binary?: boolean;
}

/** An inference request, of either transport. */
export interface InferRequest {
  readonly id: string;
  readonly inputs: readonly WireTensor[];
  /** The outputs to compute. Default: all. */
  readonly outputs?: readonly RequestedOutput[];
  /** REST: whether outputs are binary if they have no `binary` of their own. */
  readonly binaryOutputs: boolean;
  /** How long the client waits, in milliseconds. (The parameter `timeout` is in microseconds.) */
  readonly timeoutMs?: number;
}

export interface InferAnswer {
  readonly modelName: string;
  readonly id: string;
  readonly outputs: readonly WireTensor[];
}

/** The most inputs, or outputs, of a request. */
export const maxTensors = 16;

const maxIdLength = 1024;

export function checkId(value: unknown): string {
  if (value === undefined) return '';
  if (typeof value === 'string' && value.length <= maxIdLength) return value;
  throw invalid(`id must be a string of at most ${maxIdLength} characters, but is ${show(value)}`);
}

/** Checks the name of an input or output, and that `seen` does not have it yet. */
export function checkName(value: unknown, kind: 'input' | 'output', seen: Set<string>): string {
  if (typeof value !== 'string' || value === '' || value.length > 256) {
    throw invalid(`${kind}: name must be a string of 1 to 256 characters, but is ${show(value)}`);
  }
  if (seen.has(value)) throw invalid(`${kind} ${show(value)} is there twice`);
  seen.add(value);
  return value;
}

/** Checks the list of inputs or outputs. */
export function checkList(value: unknown, kind: 'inputs' | 'outputs'): readonly unknown[] {
  if (Array.isArray(value) && value.length <= maxTensors) return value as unknown[];
  throw invalid(`${kind} must be an array of at most ${maxTensors} tensors, but is ${show(value)}`);
}

/** Checks the parameter `timeout`, in microseconds. @returns milliseconds; undefined for 0 or none. */
export function checkTimeout(value: unknown): number | undefined {
  if (value === undefined || value === 0) return undefined;
  if (typeof value === 'number' && Number.isSafeInteger(value) && value > 0) return value / 1000;
  throw invalid(`parameter timeout must be whole microseconds from 0, but is ${show(value)}`);
}

/** Refuses a tensor in shared memory: this server does not have that extension of the protocol. */
export function refuseSharedMemory(hasRegion: boolean, name: string): void {
  if (hasRegion) throw invalid(`${show(name)}: this server has no shared memory extension`);
}
