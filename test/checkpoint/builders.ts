import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { afterAll } from 'vitest';

/** Makes a folder for the files of one test file; it is removed when the file's tests are done. */
export function temporaryFolder(): {
  path: string;
  write(name: string, bytes: Uint8Array | string): string;
} {
  const path = mkdtempSync(join(tmpdir(), 'latte-checkpoint-'));
  afterAll(() => {
    rmSync(path, { recursive: true, force: true });
  });
  return {
    path,
    write(name, bytes) {
      const file = join(path, name);
      writeFileSync(file, bytes);
      return file;
    },
  };
}

/** A .safetensors file made of its header's text (or bytes) and its data. */
export function safetensors(header: string | Uint8Array, data: Uint8Array | number = 0): Buffer {
  const text = Buffer.from(header as string);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([length, text, typeof data === 'number' ? Buffer.alloc(data) : data]);
}

/** The text of one tensor's entry in a header. */
export function entry(
  name: string,
  dtype: string,
  shape: number[],
  begin: number,
  end: number,
): string {
  return `${JSON.stringify(name)}:${JSON.stringify({ dtype, shape, data_offsets: [begin, end] })}`;
}

/** Encodes a protobuf varint. */
export function varint(value: number | bigint): Buffer {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  do {
    bytes.push(Number(rest & 0x7fn) | (rest > 0x7fn ? 0x80 : 0));
    rest >>= 7n;
  } while (rest > 0n);
  return Buffer.from(bytes);
}

/** Encodes a protobuf field: a varint for a number, else length and bytes. */
export function field(number: number, value: number | bigint | string | Uint8Array): Buffer {
  if (typeof value === 'number' || typeof value === 'bigint')
    return Buffer.concat([varint(number * 8), varint(value)]);
  const bytes = Buffer.from(value as string);
  return Buffer.concat([varint(number * 8 + 2), varint(bytes.length), bytes]);
}

/** Encodes a TensorProto. */
export function tensorProto(dims: (number | bigint)[], type: string, content: Uint8Array): Buffer {
  return Buffer.concat([
    ...dims.map((length) => field(1, length)),
    field(2, type),
    field(3, content),
  ]);
}

/** Encodes one Value of a Checkpoint, with its field key. */
export function value(
  tag: string,
  dims: (number | bigint)[],
  type: string,
  content: Uint8Array,
): Buffer {
  return field(1, Buffer.concat([field(1, tag), field(2, tensorProto(dims, type, content))]));
}

/** Appends MindSpore's check-sum trailer. */
export function withTrailer(bytes: Buffer, sum: number = crc32(bytes)): Buffer {
  const trailer = Buffer.alloc(17);
  trailer.write('crc_num');
  trailer.writeUInt32BE(sum, 13);
  return Buffer.concat([bytes, trailer]);
}

/** Encodes numbers as float32. */
export function floats(...values: number[]): Buffer {
  return Buffer.from(Float32Array.from(values).buffer);
}
