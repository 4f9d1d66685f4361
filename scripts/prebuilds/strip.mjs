// strip.mjs <from> <to>: copies an ELF file of 64 bits without its symbols and debug information. What
// is loaded stays as it is, byte for byte, so that the original serves as the file of debug symbols.
// (zig has no strip, and a second link with -s places code elsewhere.)
import { Buffer } from 'node:buffer';
import { readFileSync, writeFileSync } from 'node:fs';

const [from, to] = process.argv.slice(2);
const file = readFileSync(from);
const headerSize = file.readUInt16LE(58);
const begin = Number(file.readBigUInt64LE(40));
const sections = Array.from({ length: file.readUInt16LE(60) }, (_, i) =>
  file.subarray(begin + i * headerSize, begin + (i + 1) * headerSize),
);
const allocated = (section) => (section.readBigUInt64LE(8) & 2n) !== 0n;
const noBits = 8;
const first = sections.findIndex((section, i) => i > 0 && !allocated(section));
if (first < 0 || sections.slice(first).some(allocated)) {
  throw new Error(`${from}: sections that are loaded and others are mixed`);
}

const kept = sections.slice(0, first);
const end = Math.max(
  ...kept.map((section) => {
    const size = section.readUInt32LE(4) === noBits ? 0n : section.readBigUInt64LE(32);
    return Number(section.readBigUInt64LE(24) + size);
  }),
);
// The names of sections stay whole: the headers that are kept point into them.
const names = Buffer.from(sections[file.readUInt16LE(62)]);
const namesBegin = Number(names.readBigUInt64LE(24));
const text = file.subarray(namesBegin, namesBegin + Number(names.readBigUInt64LE(32)));
names.writeBigUInt64LE(BigInt(end), 24);
const padding = Buffer.alloc((8 - ((end + text.length) % 8)) % 8);

const header = Buffer.from(file.subarray(0, 64));
header.writeBigUInt64LE(BigInt(end + text.length + padding.length), 40);
header.writeUInt16LE(kept.length + 1, 60);
header.writeUInt16LE(kept.length, 62);
const body = file.subarray(64, end);
writeFileSync(to, Buffer.concat([header, body, text, padding, ...kept, names]), { mode: 0o755 });
