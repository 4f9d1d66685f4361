import { invalid, show } from './errors.js';
import type { WireTensor } from './tensor.js';

/** An output that the client asked for. */
export interface RequestedOutput {
  readonly name: string;
  /** REST: as binary data behind the JSON object. Undefined: as the whole request says. */
  readonly binary?: boolean;
}

/** An inference request, whatever it came by. */
export interface InferRequest {
  readonly id: string;
  readonly inputs: readonly WireTensor[];
  /** Undefined: all outputs. */
  readonly outputs?: readonly RequestedOutput[];
  /** REST: whether outputs are binary unless they say otherwise. */
  readonly binaryOutputs: boolean;
  /** How long the client waits, in milliseconds, by the parameter `timeout` (microseconds). */
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

/** Checks the name of an input or output, which must be the first of that name. */
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

/** The parameter `timeout`, in microseconds; 0 and undefined mean none. */
export function checkTimeout(value: unknown): number | undefined {
  if (value === undefined || value === 0) return undefined;
  if (typeof value === 'number' && Number.isSafeInteger(value) && value > 0) return value / 1000;
  throw invalid(`parameter timeout must be whole microseconds from 0, but is ${show(value)}`);
}

/** Tensors in memory that the client shares are an extension that this server does not have. */
export function refuseSharedMemory(hasRegion: boolean, name: string): void {
  if (hasRegion) throw invalid(`${show(name)}: this server has no shared memory extension`);
}
