import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

/** The e_machine of ELF files, with Node.js' names of the processors. */
const processors: Readonly<Record<number, string>> = { 62: 'x64', 183: 'arm64' };
const headerSize = 64;

/** What {@link wrongFile} returns if there is no file. @internal */
export const noSuchFile = 'no such file';

/**
 * Reads the header of an addon's file, and returns the reason why the file cannot be loaded, or
 * undefined if the header has none. The dynamic linker does not report a file that was cut off: the
 * process ends by SIGBUS. If a file is for another processor, the linker's error is "No such file or
 * directory".
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
    const { code, message } = cause as NodeJS.ErrnoException;
    return code === 'ENOENT' ? noSuchFile : message;
  }
  if (read < 4 || header.readUInt32BE(0) !== 0x7f454c46) return 'not a shared library for Linux';
  const cutOff = (of: string): string =>
    `cut off: the file has ${size} bytes${of}; install the package again`;
  if (read < headerSize) return cutOff('');
  // Before the length, whose place in the header differs in files for 32-bit processors.
  const processor = processors[header.readUInt16LE(18)] ?? 'another processor';
  if (processor !== process.arch) return `for ${processor}, not for ${process.arch}`;
  // The section headers are at the end of an addon's file.
  const end =
    Number(header.readBigUInt64LE(40)) + header.readUInt16LE(58) * header.readUInt16LE(60);
  return size < end ? cutOff(` of ${end}`) : undefined;
}
