import { closeSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';

// A reader and a writer for sound float32 files, so that the demo shares no code with what it checks.

/** A float32 tensor of a file. */
export interface Float32Tensor {
  shape: number[];
  data: Float32Array;
}

/** A tensor to write, made when its turn comes, so that only one is in memory. */
export interface TensorPlan {
  name: string;
  shape: number[];
  make: () => Float32Array;
}

interface HeaderEntry {
  dtype: string;
  shape: number[];
  data_offsets: [number, number];
}

/** Writes a file of float32 tensors; it appears under its name when it is complete. */
export function writeFile(path: string, plans: TensorPlan[]): void {
  const header: Record<string, HeaderEntry> = {};
  let end = 0;
  for (const { name, shape } of plans) {
    const begin = end;
    end += 4 * product(shape);
    header[name] = { dtype: 'F32', shape, data_offsets: [begin, end] };
  }
  const text = JSON.stringify(header);
  // Spaces at the end of the header put the data at a multiple of 8 bytes.
  const json = Buffer.from(text + ' '.repeat((8 - (Buffer.byteLength(text) % 8)) % 8));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));

  const file = openSync(`${path}.tmp`, 'w');
  writeAll(file, length);
  writeAll(file, json);
  for (const { make } of plans) writeAll(file, new Uint8Array(make().buffer));
  closeSync(file);
  renameSync(`${path}.tmp`, path);
}

/** Reads every tensor of a float32 file. */
export function readFile(path: string): Map<string, Float32Tensor> {
  const file = readFileSync(path);
  const start = 8 + Number(file.readBigUInt64LE(0));
  const header = JSON.parse(file.toString('utf8', 8, start)) as Record<string, HeaderEntry>;
  const tensors = new Map<string, Float32Tensor>();
  for (const [name, { dtype, shape, data_offsets }] of Object.entries(header)) {
    if (name === '__metadata__') continue;
    if (dtype !== 'F32') throw new Error(`${path}: ${name} is ${dtype}, but the demo works in F32`);
    const [begin, end] = data_offsets;
    const bytes = file.buffer.slice(file.byteOffset + start + begin, file.byteOffset + start + end);
    tensors.set(name, { shape, data: new Float32Array(bytes) });
  }
  return tensors;
}

export function product(shape: readonly number[]): number {
  return shape.reduce((total, length) => total * length, 1);
}

function writeAll(file: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length;) done += writeSync(file, bytes, done);
}
