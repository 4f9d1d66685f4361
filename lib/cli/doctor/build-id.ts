import { readFileSync } from 'node:fs';

const programHeaderNote = 4;
const gnuBuildId = 3;
const aligned = (bytes: number): number => (bytes + 3) & ~3;

/**
 * The build id of a little-endian ELF-64 file, by which debuggers find its debug symbols; undefined if
 * the file has none.
 *
 * Layout (System V ABI): the ELF header, the program headers, and in PT_NOTE segments a list of
 * { name size, descriptor size, type, name, descriptor }, where name and descriptor are padded to 4
 * bytes.
 */
export function buildIdOf(path: string): string | undefined {
  const file = readFileSync(path);
  if (file.toString('latin1', 0, 6) !== '\x7fELF\x02\x01') return undefined;
  try {
    const headers = Number(file.readBigUInt64LE(32));
    const size = file.readUInt16LE(54);
    for (let i = 0; i < file.readUInt16LE(56); i++) {
      const header = headers + i * size;
      if (file.readUInt32LE(header) !== programHeaderNote) continue;
      const begin = Number(file.readBigUInt64LE(header + 8));
      const id = buildIdIn(file.subarray(begin, begin + Number(file.readBigUInt64LE(header + 32))));
      if (id !== undefined) return id;
    }
  } catch {
    // The file is truncated: a read exceeded its end.
  }
  return undefined;
}

function buildIdIn(notes: Buffer): string | undefined {
  for (let at = 0; at + 12 <= notes.length;) {
    const [nameSize, size] = [notes.readUInt32LE(at), notes.readUInt32LE(at + 4)];
    const name = at + 12;
    const descriptor = name + aligned(nameSize);
    if (
      notes.readUInt32LE(at + 8) === gnuBuildId &&
      notes.toString('latin1', name, name + 4) === 'GNU\0'
    ) {
      return notes.toString('hex', descriptor, descriptor + size);
    }
    at = descriptor + aligned(size);
  }
  return undefined;
}
