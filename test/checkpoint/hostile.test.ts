import {
  closeSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  readlinkSync,
  symlinkSync,
  writeSync,
  writeFileSync,
} from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { openCheckpoint } from '../../lib/index.js';
import { readConfig } from '../../lib/checkpoint/config.js';
import { children } from '../support/child.js';
import { rejected } from '../support/errors.js';
import { entry, field, floats, safetensors, temporaryFolder, value } from './builders.js';

const folder = temporaryFolder();
const node = children();

/**
 * Writes a file whose header is `start`, `count` items, and `end`: a .safetensors file, or the text alone.
 */
function write(
  name: string,
  start: string,
  count: number,
  item: (i: number) => string,
  end: string,
  prefixed = true,
): string {
  const path = join(folder.path, name);
  const fd = openSync(path, 'w');
  let length = 0;
  const put = (text: string): void => {
    length += writeSync(fd, text);
  };
  if (prefixed) writeSync(fd, Buffer.alloc(8));
  put(start);
  for (let i = 0; i < count;) {
    const many: string[] = [];
    for (const last = Math.min(count, i + 50_000); i < last; i++) many.push(item(i));
    put((i > many.length ? ',' : '') + many.join(','));
  }
  put(end);
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(BigInt(length));
  if (prefixed) writeSync(fd, prefix, 0, 8, 0);
  closeSync(fd);
  return path;
}

const empty = (i: number): string => `"t${i}":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}`;

function manyTensors(name: string, count: number, from = 0): string {
  return write(name, '{', count, (i) => empty(from + i), '}');
}

/** Runs `work` and counts the turns of the event loop during it. */
async function turnsDuring(work: () => Promise<unknown>): Promise<number> {
  let turns = 0;
  let running = true;
  const turn = (): void => {
    turns++;
    if (running) setImmediate(turn);
  };
  setImmediate(turn);
  await work().finally(() => (running = false));
  return turns;
}

/** Runs `work` and counts the reads of files during it. */
async function readsDuring(work: () => Promise<unknown>): Promise<number> {
  const handle = await open(__filename);
  const read = vi.spyOn(Object.getPrototypeOf(handle) as { read: () => void }, 'read');
  try {
    await work();
    return read.mock.calls.length;
  } finally {
    read.mockRestore();
    await handle.close();
  }
}

const opened = async (path: string): Promise<string[]> => {
  const checkpoint = await openCheckpoint(path);
  const names = checkpoint.names();
  await checkpoint.close();
  return names;
};

/** A .ckpt with so many tensors, whose names are numbers of six digits. */
function manyValues(count: number): Buffer {
  const one = value('000000', [1], 'Int8', Buffer.alloc(1));
  const at = one.indexOf('000000');
  const all = Buffer.alloc(count * one.length, one);
  for (let i = 0; i < count; i++)
    all.write(String(i).padStart(6, '0'), i * one.length + at, 'latin1');
  return all;
}

function tensorWith(fields: string): Buffer {
  return safetensors(`{"a":{${fields},"dtype":"F32","data_offsets":[0,0]}}`);
}

function ones(count: number): string {
  return new Array<string>(count).fill('1').join();
}

/** 100 000 tensors, the most that a checkpoint may have, each with 32 axes. */
function largest(name: string): string {
  const shape = `[0${',1000'.repeat(15)}${',1'.repeat(16)}]`;
  const item = (i: number): string =>
    `"transformer_blocks.${i}.weight":{"dtype":"F32","shape":${shape},"data_offsets":[0,0]}`;
  return write(name, '{', 100_000, item, '}');
}

describe('a JavaScript heap of 120 MB survives', () => {
  it('headers that would fill it', async () => {
    const wide = `{"${'\\u0416'.repeat(4_000_000)}":{}}`;
    const paths = [
      manyTensors('million.safetensors', 1_000_000),
      folder.write('axes.safetensors', tensorWith(`"shape":[${ones(5_000_000)}]`)),
      write('metadata.safetensors', '{"__metadata__":{', 1_000_000, (i) => `"${i}":""`, '}}'),
      folder.write('unknown.safetensors', tensorWith(`"shape":[0],"x":[${ones(5_000_000)}]`)),
      folder.write('name.safetensors', safetensors(wide)),
      largest('largest.safetensors'),
    ];
    const { stdout, stderr, status } = await node.run('lib/index', {
      node: ['--max-old-space-size=120', '--require', join(__dirname, 'open-checkpoints.cjs')],
      args: paths,
    });
    expect([status, stderr]).toEqual([0, '']);
    expect(stdout.trim().split('\n')).toEqual([
      expect.stringContaining('more than 100000 tensors'),
      expect.stringContaining('tensor "a": shape has more than 32 axes'),
      expect.stringContaining('more than 10000 metadata entries'),
      expect.stringContaining('tensor "a": "x" takes more than 262144 bytes'),
      expect.stringContaining('a name is longer than 49152 bytes'),
      '100000',
    ]);
  });
});

describe('the bounds', () => {
  const refusals: [string, () => string, string][] = [
    ['tensors', () => manyTensors('tensors.safetensors', 100_001), 'more than 100000 tensors'],
    [
      'axes of a tensor',
      () => folder.write('33.safetensors', tensorWith(`"shape":[0,${ones(32)}]`)),
      'more than 32 axes',
    ],
    [
      'metadata entries',
      () => write('m.safetensors', '{"__metadata__":{', 10_001, (i) => `"${i}":""`, '}}'),
      'more than 10000 metadata entries',
    ],
    [
      'characters of metadata',
      () => {
        const half = 'x'.repeat(2 * 1024 * 1024);
        return write('c.safetensors', '{"__metadata__":{', 2, (i) => `"${i}":"${half}"`, '}}');
      },
      'more than 4194304 characters of metadata',
    ],
    [
      'characters of names',
      () => {
        const long = 'x'.repeat(8000);
        const item = (i: number): string => `"${long}${i}":${empty(0).slice(5)}`;
        return write('n.safetensors', '{', 4200, item, '}');
      },
      'more than 33554432 characters of tensor names',
    ],
    [
      'bytes of unknown fields, all together',
      () => {
        const item = (i: number): string => empty(i).replace('{', `{"x":"${'x'.repeat(200_000)}",`);
        return write('u.safetensors', '{', 2, item, '}');
      },
      'tensor "t1": "x" takes more than',
    ],
    [
      'entries of a .ckpt',
      () => folder.write('entries.ckpt', manyValues(100_001)),
      'more than 100000 tensors',
    ],
    [
      'unknown fields of a .ckpt',
      () => folder.write('fields.ckpt', Buffer.alloc(200_002, field(7, 1))),
      'more than 100000 unknown fields',
    ],
  ];

  it.each(refusals)('on %s', async (_, make, message) => {
    await rejected(() => openCheckpoint(make()), 'ERR_CHECKPOINT', message);
  });

  it('hold for all shards together, the tensors that the index does not name included', async () => {
    manyTensors('one.safetensors', 60_000);
    manyTensors('two.safetensors', 60_000, 60_000);
    const index = folder.write(
      'both.safetensors.index.json',
      '{"weight_map":{"t0":"one.safetensors","t60000":"two.safetensors"}}',
    );
    await rejected(
      () => openCheckpoint(index),
      'ERR_CHECKPOINT',
      'two',
      'more than 100000 tensors',
    );
  });

  it('list only the tensors that the index names', async () => {
    manyTensors('named.safetensors', 3);
    const index = folder.write(
      'named.safetensors.index.json',
      '{"weight_map":{"t1":"named.safetensors"}}',
    );
    expect(await opened(index)).toEqual(['t1']);
  });
});

describe('a shard of many names', () => {
  it('is opened and read once', async () => {
    const place = join(folder.path, 'links');
    mkdirSync(place);
    const names = Array.from({ length: 12 }, (_, i) => `shard-${i}.safetensors`);
    const target = manyTensors('links/shard-0.safetensors', 20_000);
    for (const [i, name] of names.entries()) {
      if (i > 0) (i % 2 === 0 ? linkSync : symlinkSync)(target, join(place, name));
    }
    const map = Object.fromEntries(names.map((name, i) => [`t${i}`, name]));
    const index = join(place, 'all.safetensors.index.json');
    writeFileSync(index, JSON.stringify({ weight_map: map }));
    const checkpoint = await openCheckpoint(index);
    expect(checkpoint.names()).toEqual(Object.keys(map));
    const files = readdirSync('/proc/self/fd').filter((fd) => realPath(fd).startsWith(place));
    expect(files).toHaveLength(1);
    await checkpoint.close();
  });
});

function realPath(fd: string): string {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    return '';
  }
}

describe('a long directory', () => {
  it('does not hold the event loop: a header', async () => {
    const path = manyTensors('turns.safetensors', 100_000);
    expect(await turnsDuring(() => opened(path))).toBeGreaterThan(150);
  });

  it('does not hold the event loop: white space around it', async () => {
    const space = ' '.repeat(10_000_000);
    const path = folder.write('space.safetensors', safetensors(`${space}{}${space}`));
    expect(await turnsDuring(() => opened(path))).toBeGreaterThan(30);
    const inside = folder.write('inside.safetensors', safetensors(`{${space}}`));
    await rejected(() => openCheckpoint(inside), 'ERR_CHECKPOINT', 'white space in a row');
  });

  it('does not hold the event loop: an index', async () => {
    manyTensors('indexed.safetensors', 1);
    const index = write(
      'long.safetensors.index.json',
      '{"weight_map":{',
      100_000,
      (i) => `"t${i}":"indexed.safetensors"`,
      '}}',
      false,
    );
    const open = async (): Promise<void> =>
      void (await rejected(() => openCheckpoint(index), 'ERR_CHECKPOINT', '"t1"', 'lacks it'));
    expect(await turnsDuring(open)).toBeGreaterThan(90);
  });

  it('does not hold the event loop: a .ckpt, which takes few reads', async () => {
    const path = folder.write('many.ckpt', manyValues(100_000));
    expect(await turnsDuring(() => opened(path))).toBeGreaterThan(150);
    expect(await readsDuring(() => opened(path))).toBeLessThan(30);
    expect(await opened(path)).toHaveLength(100_000);
  });
});

const html = '\n<!DOCTYPE html>\n<html><body>Not found</body></html>\n';
const pointer =
  'version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n';
const zip = Buffer.concat([Buffer.from('PK\x03\x04\0\0\b\b', 'latin1'), Buffer.alloc(200)]);

describe('a file of another kind: the error names the kind', () => {
  it.each([
    ['a git-lfs pointer', pointer, 'is a git-lfs pointer'],
    ['an HTML page', html, 'is an HTML page'],
    ['an answer of a server', '{"error":"Repository not found"}', "is a server's error message"],
    ['a zip', zip, 'is a zip archive: most likely a PyTorch file'],
    [
      'an old PyTorch file',
      Buffer.concat([Buffer.from('80028a0a6cfc9c46f9206aa850', 'hex'), Buffer.alloc(1000)]),
      'is a Python pickle (an old PyTorch file)',
    ],
    ['GGUF', 'GGUF\x03\0\0\0aaaaaaaaaaaa', 'is a GGUF file'],
  ])('%s', async (name, bytes, message) => {
    const file = name.replaceAll(' ', '-');
    for (const ending of ['safetensors', 'ckpt', 'safetensors.index.json', 'bin']) {
      const path = folder.write(`${file}.${ending}`, bytes);
      await rejected(() => openCheckpoint(path), 'ERR_CHECKPOINT', path, message);
    }
  });

  it('a config.json', async () => {
    folder.write('config.json', pointer);
    await rejected(() => readConfig(folder.path), 'ERR_CHECKPOINT', 'is a git-lfs pointer');
  });

  it('a truncated download', async () => {
    const whole = safetensors(`{${entry('a', 'F32', [2], 0, 8)}}`, floats(1, 2));
    for (const length of [20, whole.length - 1]) {
      const path = folder.write(`cut-${length}.safetensors`, whole.subarray(0, length));
      await rejected(() => openCheckpoint(path), 'ERR_CHECKPOINT', 'the file is incomplete');
    }
    const path = folder.write('cut.ckpt', value('a', [2], 'Float32', floats(1, 2)).subarray(0, -1));
    await rejected(() => openCheckpoint(path), 'ERR_CHECKPOINT', 'the file is incomplete');
  });

  it('a folder of PyTorch files', async () => {
    const place = join(folder.path, 'torch');
    mkdirSync(place);
    writeFileSync(join(place, 'diffusion_pytorch_model.bin'), zip);
    await rejected(() => openCheckpoint(place), 'ERR_CHECKPOINT', 'diffusion_pytorch_model.bin');
  });
});

describe('messages stay short', () => {
  const long = '\u0001'.repeat(8_000);
  it.each([
    ['a tensor that is there twice', `{"${long}":1}`, 'safetensors'],
    [
      'the name of a shard',
      `{"weight_map":{${JSON.stringify(long)}:"${'shard/'.repeat(1_000)}x"}}`,
      'safetensors.index.json',
    ],
    [
      'the name of a shard outside',
      `{"weight_map":{${JSON.stringify(long)}:"../${'shard/'.repeat(1_000)}x"}}`,
      'safetensors.index.json',
    ],
  ])('%s', async (_, text, ending) => {
    const bytes =
      ending === 'safetensors' ? safetensors(text.replaceAll(long, 'x'.repeat(8_000))) : text;
    const path = folder.write(`message.${ending}`, bytes);
    const error = await rejected(() => openCheckpoint(path), 'ERR_CHECKPOINT', '…');
    expect(error.message.length).toBeLessThan(2500);
  });

  it('of a .ckpt', async () => {
    const path = folder.write('message.ckpt', value('x'.repeat(8_000), [1], 'Float99', floats(1)));
    const error = await rejected(() => openCheckpoint(path), 'ERR_CHECKPOINT', '(8000 characters)');
    expect(error.message.length).toBeLessThan(1000);
  });
});
