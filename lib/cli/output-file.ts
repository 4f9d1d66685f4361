import {
  createReadStream,
  createWriteStream,
  existsSync,
  mkdtempSync,
  realpathSync,
  rmSync,
  statSync,
} from 'node:fs';
import { rename } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { pipeline } from 'node:stream/promises';

const unfinished = new Set<string>();

/**
 * Writes a file so that it is either complete or not there: `write` gets a path in a temporary folder
 * beside it, from where the file is moved to its place at the end. An existing file stays as it was
 * until then. What is not a regular file (/dev/stdout, a named pipe) gets the bytes at the end.
 */
export async function writeComplete(
  path: string,
  write: (path: string) => Promise<void>,
): Promise<void> {
  checkOutput(path);
  // The file behind a symbolic link is replaced, not the link.
  const target = existsSync(path) ? realpathSync(path) : resolve(path);
  const special = existsSync(path) && !statSync(path).isFile();
  // A move is one step only within a file system. The folder also takes what `write` itself may
  // leave half-written when the program is interrupted.
  const folder = mkdtempSync(join(special ? tmpdir() : dirname(target), `.${basename(target)}.`));
  unfinished.add(folder);
  try {
    const temporary = join(folder, basename(target));
    await write(temporary);
    if (special) await pipeline(createReadStream(temporary), createWriteStream(path));
    else await rename(temporary, target);
  } finally {
    rmSync(folder, { recursive: true, force: true });
    unfinished.delete(folder);
  }
}

/**
 * Refuses a path that cannot be written before the long work begins.
 * @throws Error where the folder does not exist, or the path is a folder.
 */
export function checkOutput(path: string): void {
  const folder = dirname(resolve(path));
  if (!existsSync(folder)) throw new Error(`-o: there is no folder ${folder}`);
  if (existsSync(path) && statSync(path).isDirectory()) {
    throw new Error(`-o: ${path} is a folder; name a file in it`);
  }
}

/** Removes what is half-written when the process has to leave early. */
export function removeUnfinished(): void {
  for (const folder of unfinished) rmSync(folder, { recursive: true, force: true });
  unfinished.clear();
}
