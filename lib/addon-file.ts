import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

/** e_machine of an ELF file, and what Node.js calls these processors. */
const processors: Readonly<Record<number, string>> = { 62: 'x64', 183: 'arm64' };
const headerSize = 64;

/**
 * Why the dynamic linker could not load `path`, from the file's header; undefined if nothing is wrong
 * with that. The linker maps a file that was cut off without an error, and the process then ends by
 * SIGBUS. Of a file for another processor it says "No such file or directory".
 * @internal
 */
export function wrongFile(path: string): string | undefined {
  const header = Buffer.alloc(headerSize);
  let size: number;
  let read: number;
  try {
    const file = openSync(path, 'r');
    try {
      read = readSync(file, header, 0, headerSize, 0);
      ({ size } = fstatSync(file));
    } finally {
      closeSync(file);
    }
  } catch (cause) {
    return (cause as Error).message;
  }
  if (read < 4 || header.readUInt32BE(0) !== 0x7f454c46) return 'not a shared library for Linux';
  // The section headers stand at the end of an addon's file.
  const end =
    Number(header.readBigUInt64LE(40)) + header.readUInt16LE(58) * header.readUInt16LE(60);
  if (read < headerSize || size < end) {
    return `cut off: the file has ${size} bytes${read < headerSize ? '' : ` of ${end}`}; install the package again`;
  }
  const processor = processors[header.readUInt16LE(18)] ?? 'another processor';
  return processor === process.arch ? undefined : `for ${processor}, not for ${process.arch}`;
}
