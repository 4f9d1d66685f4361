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
 * Writes a file so that it is either complete or not there: `write` gets a path in a temporary folder
 * beside it, from where the file is moved to its place at the end. An existing file stays as it was
 * until then. What is not a regular file (/dev/stdout, a named pipe) gets the bytes at the end.
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

/** The system's own message, about the file that the caller named and not a temporary one. */
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
  // A move is one step only within a file system. The folder also takes what `write` itself may
  // leave half-written when the program is interrupted.
  // Not the whole name: the folder's may be too long even if the file's own is not.
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
 * Refuses a path that cannot be written, or that is read, before the long work begins.
 * @param inputs the files that are read; the output would destroy one that is the same file, also
 *   by another name.
 * @throws Error with the reason.
 */
export function checkOutput(path: string, inputs: readonly string[] = []): void {
  if (path === '') throw new Error('-o: the name of a file is needed');
  const folder = dirname(resolve(path));
  const place = statSync(folder, { throwIfNoEntry: false });
  if (place === undefined) throw new Error(`-o: there is no folder ${folder}`);
  if (!place.isDirectory()) throw new Error(`-o: ${folder} is no folder`);
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

/** Removes what is half-written when the process has to leave early. */
export function removeUnfinished(): void {
  for (const folder of unfinished) rmSync(folder, { recursive: true, force: true });
  unfinished.clear();
}
