import fc from 'fast-check';
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { LatteEmbeddings, LatteError, openCheckpoint } from '../../lib/index.js';
import { goldenFolder } from '../support/golden.js';
import { temporaryFolder } from './builders.js';

const folder = temporaryFolder();
const checkpoints = join(goldenFolder, 'checkpoints');

const files = {
  'latte.safetensors': 'latte/transformer/diffusion_pytorch_model.safetensors',
  'pixart.safetensors': 'pixart/transformer/diffusion_pytorch_model.safetensors',
  'mindone.ckpt': 'latte_mindone/latte_t2v.ckpt',
  'train.ckpt': 'latte_mindone_train/latte_t2v-e10.ckpt',
} as const;

/**
 * One change of a file. Positions are fractions, because they are drawn before the file's length is known.
 */
type Edit =
  | { kind: 'byte'; at: number; byte: number }
  | { kind: 'cut'; at: number }
  | { kind: 'remove'; at: number; length: number }
  | { kind: 'insert'; at: number; bytes: Uint8Array }
  | { kind: 'repeat'; at: number; length: number };

const at = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
const length = fc.integer({ min: 1, max: 400 });
const edit: fc.Arbitrary<Edit> = fc.oneof(
  fc.record({ kind: fc.constant('byte' as const), at, byte: fc.integer({ min: 0, max: 255 }) }),
  fc.record({ kind: fc.constant('cut' as const), at }),
  fc.record({ kind: fc.constant('remove' as const), at, length }),
  fc.record({
    kind: fc.constant('insert' as const),
    at,
    bytes: fc.uint8Array({ minLength: 1, maxLength: 12 }),
  }),
  fc.record({ kind: fc.constant('repeat' as const), at, length }),
);

/** The part of each kind of file that has its structure; elsewhere only values would change. */
function structureOf(name: string, bytes: Buffer): number[] {
  if (name.endsWith('.safetensors'))
    return Array.from({ length: 8 + Number(bytes.readBigUInt64LE()) }, (_, i) => i);
  const places: number[] = [];
  for (const mark of ['Float32', 'Float16', 'Int32', 'crc_num']) {
    for (let found = bytes.indexOf(mark); found >= 0; found = bytes.indexOf(mark, found + 1)) {
      for (let i = Math.max(0, found - 60); i < Math.min(bytes.length, found + 17); i++)
        places.push(i);
    }
  }
  return places;
}

function apply(original: Buffer, places: readonly number[], edits: readonly Edit[]): Buffer {
  let bytes = Buffer.from(original);
  for (const change of edits) {
    const position = Math.min(places[Math.floor(change.at * places.length)]!, bytes.length);
    const head = bytes.subarray(0, position);
    const tail = bytes.subarray(position);
    if (change.kind === 'byte') {
      bytes = Buffer.from(bytes);
      if (position < bytes.length) bytes[position] = change.byte;
    } else if (change.kind === 'cut') bytes = head;
    else if (change.kind === 'remove') bytes = Buffer.concat([head, tail.subarray(change.length)]);
    else if (change.kind === 'insert') bytes = Buffer.concat([head, change.bytes, tail]);
    else bytes = Buffer.concat([head, tail.subarray(0, change.length), tail]);
  }
  return bytes;
}

/** Opens a file and reads everything in it. Every error must be a LatteError. */
async function readAll(path: string, fileBytes: number): Promise<void> {
  let loaded = 0;
  try {
    const checkpoint = await openCheckpoint(path);
    try {
      for (const name of checkpoint.names()) {
        try {
          const tensor = await checkpoint.tensor(name);
          loaded += tensor.byteLength;
          tensor.dispose();
        } catch (error) {
          if (!(error instanceof LatteError && error.code === 'ERR_DTYPE')) throw error;
        }
      }
    } finally {
      await checkpoint.close();
    }
  } catch (error) {
    if (!(error instanceof LatteError && error.code === 'ERR_CHECKPOINT' && error.path === path))
      throw error;
  }
  // A header must not make the reader allocate more memory than the file has bytes.
  expect(loaded).toBeLessThanOrEqual(fileBytes);
}

describe('a damaged checkpoint is refused or read, and nothing else happens', () => {
  it.each(Object.entries(files))('%s', async (name, source) => {
    const original = readFileSync(join(checkpoints, source));
    const structure = structureOf(name, original);
    const anywhere = Array.from({ length: original.length }, (_, i) => i);
    await fc.assert(
      fc.asyncProperty(
        fc.array(edit, { minLength: 1, maxLength: 4 }),
        fc.integer({ min: 0, max: 9 }),
        async (edits, choice) => {
          const bytes = apply(original, choice === 0 ? anywhere : structure, edits);
          await readAll(folder.write(name, bytes), bytes.length);
        },
      ),
      { numRuns: 250 },
    );
  });
});

describe('a damaged folder is refused or loaded, and nothing else happens', () => {
  it.each([
    ['latte', 'transformer/config.json'],
    ['latte_mindone_train', 'config.json'],
    ['latte_sharded', 'transformer/diffusion_pytorch_model.safetensors.index.json'],
    ['latte', 'transformer/diffusion_pytorch_model.safetensors'],
  ])('%s: %s', async (name, file) => {
    const copy = join(folder.path, `${name}-${file.replaceAll('/', '-')}`);
    cpSync(join(checkpoints, name), copy, { recursive: true });
    const original = readFileSync(join(copy, file));
    const places = file.endsWith('.json')
      ? Array.from({ length: original.length }, (_, i) => i)
      : structureOf(file, original);
    await fc.assert(
      fc.asyncProperty(fc.array(edit, { minLength: 1, maxLength: 3 }), async (edits) => {
        writeFileSync(join(copy, file), apply(original, places, edits));
        try {
          const latte = await LatteEmbeddings.fromPretrained(copy);
          latte.tempPosEmbed(1).dispose();
          latte.dispose();
        } catch (error) {
          const codes = ['ERR_CHECKPOINT', 'ERR_DTYPE'];
          if (!(error instanceof LatteError && codes.includes(error.code))) throw error;
        }
      }),
      { numRuns: 150 },
    );
  });
});
