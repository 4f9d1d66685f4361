import type { LatteError } from '../errors.js';
import type { CheckpointFile } from './file.js';

const startBytes = 256;

interface Kind {
  /** Whether a file that starts like this is of the kind. */
  matches: (start: Buffer) => boolean;
  is: string;
}

function startsWith(bytes: string): (start: Buffer) => boolean {
  return (start) => start.toString('latin1', 0, bytes.length) === bytes;
}

function text(pattern: RegExp): (start: Buffer) => boolean {
  return (start) => pattern.test(start.toString('latin1'));
}

/** Files that are often found under a checkpoint's name by mistake, with what to do about each. */
const kinds: readonly Kind[] = [
  {
    matches: text(/^version https:\/\/git-lfs\.github\.com\/spec\//),
    is: 'is a git-lfs pointer, not the file itself; fetch it with `git lfs pull`',
  },
  {
    matches: text(/^\s*(<!--|<!doctype html|<html|<head|<\?xml)/i),
    is: 'is an HTML page, not the file itself; the download went to a web page',
  },
  {
    matches: text(/^\s*\{"error"/),
    is: "is a server's error message, not the file itself; download it again",
  },
  {
    matches: startsWith('PK\x03\x04'),
    is: 'is a zip archive: most likely a PyTorch file (.bin, .pt, .pth, .ckpt), which cannot be read here; save it as .safetensors',
  },
  {
    // The beginning of a file of torch.save before version 1.6: pickle protocol 2, torch's magic number.
    matches: startsWith('\x80\x02\x8a\x0a\x6c\xfc\x9c\x46'),
    is: 'is a Python pickle (an old PyTorch file), which cannot be read here; save it as .safetensors',
  },
  {
    matches: startsWith('\x80\x04\x95'),
    is: 'is a Python pickle, which cannot be read here; save it as .safetensors',
  },
  { matches: startsWith('GGUF'), is: 'is a GGUF file, which cannot be read here' },
  { matches: startsWith('\x89HDF\r\n'), is: 'is an HDF5 file, which cannot be read here' },
  { matches: startsWith('\x93NUMPY'), is: 'is a NumPy array, which cannot be read here' },
  { matches: startsWith('\x1f\x8b'), is: 'is compressed with gzip; unpack it first' },
  { matches: text(/^[^]{257}ustar/), is: 'is a tar archive; unpack it first' },
];

/**
 * Replaces the error of a file that cannot be read, if the file is of a kind that is easily recognised.
 * @param error the error of reading the file.
 * @returns an error that names the kind, with `error` as its cause; else `error` itself.
 * @internal
 */
export async function explain(file: CheckpointFile, error: unknown): Promise<unknown> {
  const kind = await recognise(file);
  return kind === undefined ? error : file.fail(kind, error);
}

/**
 * Names the kind of a file that is not a checkpoint, as text to put after the path; undefined if the
 * kind is unknown.
 * @internal
 */
export async function recognise(file: CheckpointFile): Promise<string | undefined> {
  const start = Buffer.alloc(Math.min(startBytes + 8, file.size));
  try {
    await file.read(0, start);
  } catch {
    return undefined;
  }
  return kinds.find(({ matches }) => matches(start))?.is;
}

/** The ERR_CHECKPOINT error for a file that ends too early. @internal */
export function truncated(file: CheckpointFile, message: string): LatteError {
  return file.fail(`${message}; the file is incomplete (a download that was broken off?)`);
}
