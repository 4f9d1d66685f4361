import {
  accessSync,
  constants,
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
import { LatteError } from '../errors.js';

const unfinished = new Set<string>();

/**
 * Writes a file so that it is complete or does not exist. `write` gets a path in a temporary folder in
 * the same folder, and the file is renamed to `path` at the end. Until then an existing file stays
 * unchanged. If `path` is not a regular file (/dev/stdout, a named pipe), the bytes are copied to it at
 * the end.
 */
export async function writeComplete(
  path: string,
  write: (path: string) => Promise<void>,
): Promise<void> {
  checkOutput(path);
  try {
    await writeBeside(path, write);
  } catch (error) {
    throw outputError(path, error);
  }
}

/** The system's message, with the path that the user gave instead of the temporary one. */
function outputError(path: string, error: unknown): unknown {
  const cause = error instanceof LatteError ? error.cause : error;
  const refusedBySystem = cause instanceof Error && 'syscall' in cause;
  return refusedBySystem
    ? new Error(`-o: ${path} cannot be written: ${cause.message}`, { cause: error })
    : error;
}

async function writeBeside(path: string, write: (path: string) => Promise<void>): Promise<void> {
  // The file behind a symbolic link is replaced, not the link.
  const target = existsSync(path) ? realpathSync(path) : resolve(path);
  const special = existsSync(path) && !statSync(path).isFile();
  // The temporary folder is in the same folder, because a rename is atomic only within a file system. It
  // also holds files that `write` leaves incomplete if the program is interrupted.
  // Only the beginning of the name: the whole one could exceed the system's limit.
  const begin = `.${basename(target).slice(0, 40)}.`;
  const folder = mkdtempSync(join(special ? tmpdir() : dirname(target), begin));
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
 * Refuses a path that cannot be written, or that is also an input. Call this before long work begins.
 * @param inputs the files that are read. An output that is the same file, also under another name,
 *   would destroy it.
 * @throws Error with the reason.
 */
export function checkOutput(path: string, inputs: readonly string[] = []): void {
  if (path === '') throw new Error('-o: the name of a file is needed');
  const folder = dirname(resolve(path));
  const status = statSync(folder, { throwIfNoEntry: false });
  if (status === undefined) throw new Error(`-o: there is no folder ${folder}`);
  if (!status.isDirectory()) throw new Error(`-o: ${folder} is no folder`);
  const output = statSync(path, { throwIfNoEntry: false });
  if (output?.isDirectory() || path.endsWith('/')) {
    throw new Error(`-o: ${path} is a folder; name a file in it`);
  }
  if (output?.isFile()) {
    for (const input of inputs) {
      const read = statSync(input, { throwIfNoEntry: false });
      if (read?.dev === output.dev && read.ino === output.ino) {
        throw new Error(`-o: ${path} is ${input}, which is read; name another file`);
      }
    }
  }
  if (output === undefined || output.isFile()) checkWritable(folder);
}

function checkWritable(folder: string): void {
  try {
    accessSync(folder, constants.W_OK);
  } catch (error) {
    throw new Error(`-o: no file can be written in ${folder}: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

/** Removes incomplete files; for a process that ends early. */
export function removeUnfinished(): void {
  for (const folder of unfinished) rmSync(folder, { recursive: true, force: true });
  unfinished.clear();
}
