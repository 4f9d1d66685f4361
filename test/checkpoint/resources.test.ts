import {
  closeSync,
  ftruncateSync,
  openSync,
  readdirSync,
  readlinkSync,
  renameSync,
  truncateSync,
  utimesSync,
  writeSync,
  writeFileSync,
  mkdirSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openCheckpoint } from '../../lib/index.js';
import { children } from '../support/child.js';
import { rejected } from '../support/errors.js';
import { valuesOf } from '../support/tensors.js';
import { entry, field, floats, safetensors, temporaryFolder, value, varint } from './builders.js';

const folder = temporaryFolder();
const node = children();
const file = safetensors(
  `{${entry('a', 'F32', [2], 0, 8)},${entry('b', 'F32', [2], 8, 16)}}`,
  floats(1, 2, 3, 4),
);

/** The files below the test's folder that this process has open. */
function openFiles(): string[] {
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      const target = readlinkSync(`/proc/self/fd/${fd}`);
      return target.startsWith(folder.path) ? [target] : [];
    } catch {
      return [];
    }
  });
}

describe('files', () => {
  it('are open until close, which may be called twice', async () => {
    const checkpoint = await openCheckpoint(folder.write('open.safetensors', file));
    expect(openFiles()).toHaveLength(1);
    await Promise.all([checkpoint.close(), checkpoint.close()]);
    await checkpoint.close();
    expect(openFiles()).toEqual([]);
  });

  it('are closed when opening fails', async () => {
    const bad = {
      'bad.safetensors': file.subarray(0, -1),
      'short.safetensors': file.subarray(0, 4),
      'bad.ckpt': value('a', [3], 'Float32', floats(1)),
      'encrypted.ckpt': Buffer.from('d85e3a7f', 'hex'),
      'bad.safetensors.index.json': '{"weight_map":{"a":1}}',
      'missing.safetensors.index.json':
        '{"weight_map":{"a":"good.safetensors","b":"none.safetensors"}}',
      'lacks.safetensors.index.json':
        '{"weight_map":{"a":"good.safetensors","z":"good.safetensors"}}',
    };
    folder.write('good.safetensors', file);
    for (const [name, bytes] of Object.entries(bad)) {
      await rejected(() => openCheckpoint(folder.write(name, bytes)), 'ERR_CHECKPOINT');
      expect([name, openFiles()]).toEqual([name, []]);
    }
  });

  it('cannot be used after close', async () => {
    const path = folder.write('closed.safetensors', file);
    const checkpoint = await openCheckpoint(path);
    const pending = checkpoint.tensor('a').catch((error: unknown) => error);
    await checkpoint.close();
    expect(await pending).toMatchObject({ code: 'ERR_STATE' });
    await rejected(async () => checkpoint.names(), 'ERR_STATE', path, 'was closed');
    await rejected(async () => checkpoint.info('a'), 'ERR_STATE', 'was closed');
    await rejected(async () => checkpoint.has('a'), 'ERR_STATE', 'was closed');
    await rejected(() => checkpoint.tensor('a'), 'ERR_STATE', 'was closed');
  });

  it('serve many reads at once', async () => {
    const checkpoint = await openCheckpoint(folder.write('many.safetensors', file));
    const names = Array.from({ length: 64 }, (_, i) => (i % 2 === 0 ? 'a' : 'b'));
    const tensors = await Promise.all(names.map((name) => checkpoint.tensor(name)));
    for (const [i, tensor] of tensors.entries()) {
      expect([...valuesOf(tensor)]).toEqual(names[i] === 'a' ? [1, 2] : [3, 4]);
    }
    await checkpoint.close();
  });

  it('must not be cut off while open', async () => {
    const path = folder.write('cut.safetensors', file);
    const checkpoint = await openCheckpoint(path);
    truncateSync(path, file.length - 4);
    const error = await rejected(
      () => checkpoint.tensor('b'),
      'ERR_CHECKPOINT',
      path,
      `ends at byte ${file.length - 4}`,
    );
    expect(error.path).toBe(path);
    // The bytes that are left are refused, too, because the process that cut the file may have changed
    // them.
    await rejected(() => checkpoint.tensor('a'), 'ERR_CHECKPOINT', `${file.length - 4} bytes now`);
    await checkpoint.close();
  });

  it('must not be written to while open', async () => {
    const path = folder.write('written.safetensors', file);
    const checkpoint = await openCheckpoint(path);
    writeFileSync(path, file);
    utimesSync(path, 1, 1);
    await rejected(() => checkpoint.tensor('a'), 'ERR_CHECKPOINT', path, 'was written to');
    await checkpoint.close();
  });

  it('may be replaced by another one: what was opened is read', async () => {
    const path = folder.write('replaced.safetensors', file);
    const checkpoint = await openCheckpoint(path);
    renameSync(folder.write('other.safetensors', file.subarray(0, 9)), path);
    expect([...valuesOf(await checkpoint.tensor('b'))]).toEqual([3, 4]);
    await checkpoint.close();
  });
});

/** The tensors of the embedding layers at the size of Latte-XL: D 1152, caption 4096. */
const embeddings: Record<string, number[]> = {
  'pos_embed.proj.weight': [1152, 4, 2, 2],
  'pos_embed.proj.bias': [1152],
  'adaln_single.emb.timestep_embedder.linear_1.weight': [1152, 256],
  'adaln_single.emb.timestep_embedder.linear_1.bias': [1152],
  'adaln_single.emb.timestep_embedder.linear_2.weight': [1152, 1152],
  'adaln_single.emb.timestep_embedder.linear_2.bias': [1152],
  'adaln_single.linear.weight': [6912, 1152],
  'adaln_single.linear.bias': [6912],
  'caption_projection.linear_1.weight': [1152, 4096],
  'caption_projection.linear_1.bias': [1152],
  'caption_projection.linear_2.weight': [1152, 1152],
  'caption_projection.linear_2.bias': [1152],
};

const blocks = 10;
const blockBytes = 512 * 1024 * 1024;

function bytesOf(shape: readonly number[]): number {
  return shape.reduce((product, length) => product * length, 4);
}

/**
 * The checkpoint alternates these tensors with the transformer's blocks, of half a gibibyte each: over 5
 * GB.
 */
function* fullSize(): Generator<[string, number[]]> {
  const wanted = Object.entries(embeddings);
  for (let i = 0; i < Math.max(blocks, wanted.length); i++) {
    if (i < blocks) yield [`transformer_blocks.${i}.weight`, [blockBytes / 4]];
    if (i < wanted.length) yield wanted[i]!;
  }
}

function sparseSafetensors(path: string): void {
  let end = 0;
  const header = [...fullSize()].map(([name, shape]) =>
    entry(name, 'F32', shape, end, (end += bytesOf(shape))),
  );
  const head = safetensors(`{${header.join(',')}}`);
  const fd = openSync(path, 'w');
  writeSync(fd, head);
  ftruncateSync(fd, head.length + end);
  closeSync(fd);
}

function sparseMindSpore(path: string): void {
  const fd = openSync(path, 'w');
  let position = 0;
  for (const [name, shape] of fullSize()) {
    const bytes = bytesOf(shape);
    const start = Buffer.concat([
      ...shape.map((length) => field(1, length)),
      field(2, 'Float32'),
      varint(26),
      varint(bytes),
    ]);
    const tensor = Buffer.concat([varint(18), varint(start.length + bytes), start]);
    const tag = field(1, name);
    const head = Buffer.concat([
      varint(10),
      varint(tag.length + tensor.length + bytes),
      tag,
      tensor,
    ]);
    writeSync(fd, head, 0, head.length, position);
    position += head.length + bytes;
  }
  ftruncateSync(fd, position);
  closeSync(fd);
}

describe('a checkpoint of more than 5 GB', () => {
  const config = {
    norm_type: 'ada_norm_single',
    num_attention_heads: 16,
    attention_head_dim: 72,
    in_channels: 4,
    patch_size: 2,
    sample_size: 64,
    caption_channels: 4096,
  };
  const total = Object.values(embeddings).reduce((sum, shape) => sum + bytesOf(shape), 0);

  it.each([
    ['model.safetensors', 'tensors', sparseSafetensors],
    ['model.safetensors', 'layers', sparseSafetensors],
    ['model.ckpt', 'tensors', sparseMindSpore],
    ['model.ckpt', 'layers', sparseMindSpore],
  ] as const)(
    '(%s) gives its embedding %s in little memory, and only their bytes are read',
    async (name, what, write) => {
      const path = join(folder.path, `sparse-${name.split('.')[1]}-${what}`);
      mkdirSync(path);
      write(join(path, name));
      writeFileSync(join(path, 'config.json'), JSON.stringify(config));
      const { stdout, stderr, status } = await node.run('lib/index', {
        node: ['--require', join(__dirname, 'measure-loading.cjs')],
        args: [path, what, JSON.stringify(Object.keys(embeddings))],
      });
      expect([status, stderr]).toEqual([0, '']);
      const { tensorBytes, extraMemory, bytesRead } = JSON.parse(stdout) as Record<string, number>;
      expect(tensorBytes).toBe(total);
      expect(extraMemory).toBeLessThan(64 * 1024 * 1024);
      expect(bytesRead).toBeLessThan(total + 1024 * 1024);
    },
  );
});
