import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openCheckpoint } from '../../lib/index.js';
import { rejected } from '../support/errors.js';
import { valuesOf } from '../support/tensors.js';
import { entry, floats, safetensors, temporaryFolder, value } from './builders.js';

const root = temporaryFolder();
const one = safetensors(`{${entry('a', 'F32', [2], 0, 8)}}`, floats(1, 2));
const two = safetensors(
  `{${entry('b', 'F32', [2], 0, 8)},${entry('unlisted', 'F32', [0], 8, 8)}}`,
  floats(3, 4),
);
const ckpt = value('c', [2], 'Float32', floats(5, 6));

let count = 0;

/** Makes a folder with these files. */
function folder(files: Record<string, Buffer | string>): string {
  const path = join(root.path, `folder-${count++}`);
  mkdirSync(path);
  for (const [name, bytes] of Object.entries(files)) writeFileSync(join(path, name), bytes);
  return path;
}

function index(map: Record<string, unknown>): string {
  return JSON.stringify({ metadata: { total_size: 16 }, weight_map: map });
}

async function namesIn(path: string): Promise<string[]> {
  const checkpoint = await openCheckpoint(path);
  const names = checkpoint.names();
  await checkpoint.close();
  return names;
}

describe('a sharded checkpoint', () => {
  const name = 'model.safetensors.index.json';

  it('gives each tensor from its shard', async () => {
    const path = folder({
      [name]: index({ b: 'two.safetensors', a: 'one.safetensors' }),
      'one.safetensors': one,
      'two.safetensors': two,
    });
    const checkpoint = await openCheckpoint(join(path, name));
    expect(checkpoint.names()).toEqual(['b', 'a']);
    expect(valuesOf(await checkpoint.tensor('a'))).toEqual(Float64Array.of(1, 2));
    expect(valuesOf(await checkpoint.tensor('b'))).toEqual(Float64Array.of(3, 4));
    await rejected(() => checkpoint.tensor('unlisted'), 'ERR_CHECKPOINT', 'no tensor "unlisted"');
    await checkpoint.close();
  });

  it('may have shards in folders below, and shards that are symbolic links, as in the cache of Hugging Face', async () => {
    const path = folder({ [name]: index({ a: 'below/one.safetensors', b: 'link.safetensors' }) });
    mkdirSync(join(path, 'below'));
    writeFileSync(join(path, 'below', 'one.safetensors'), one);
    symlinkSync(root.write('blob', two), join(path, 'link.safetensors'));
    expect(await namesIn(path)).toEqual(['a', 'b']);
  });

  it.each([
    '../one.safetensors',
    'below/../../one.safetensors',
    '..',
    '/etc/passwd',
    '\\\\server\\share',
    '..\\one.safetensors',
    'C:\\one.safetensors',
    'C:one.safetensors',
    'one.safetensors\0',
    '',
  ])('must not name a path outside its folder: %j', async (shard) => {
    const path = folder({ [name]: index({ a: shard }) });
    await rejected(
      () => openCheckpoint(path),
      'ERR_CHECKPOINT',
      name,
      'weight_map "a"',
      'in the folder of the index',
    );
  });

  it('must have all its shards', async () => {
    const path = folder({
      [name]: index({ a: 'one.safetensors', b: 'two.safetensors' }),
      'one.safetensors': one,
    });
    const error = await rejected(
      () => openCheckpoint(path),
      'ERR_CHECKPOINT',
      name,
      'shard "two.safetensors"',
      'ENOENT',
    );
    expect(error.path).toBe(join(path, 'two.safetensors'));
  });

  it('must not list a tensor that its shard lacks', async () => {
    const path = folder({
      [name]: index({ a: 'one.safetensors', b: 'one.safetensors' }),
      'one.safetensors': one,
    });
    await rejected(
      () => openCheckpoint(path),
      'ERR_CHECKPOINT',
      name,
      '"one.safetensors" for tensor "b", but that shard lacks it',
    );
  });

  it('must not have a malformed shard', async () => {
    const path = folder({
      [name]: index({ a: 'one.safetensors' }),
      'one.safetensors': one.subarray(0, -1),
    });
    await rejected(
      () => openCheckpoint(path),
      'ERR_CHECKPOINT',
      'shard "one.safetensors"',
      'past the end',
    );
  });

  it.each([
    ['a folder as a shard', index({ a: 'sub' }), 'not a regular file'],
    ['a shard by a roundabout name', index({ a: './one.safetensors' }), 'must name a file'],
    ['a shard that is no string', index({ a: 1 }), 'weight_map "a" must be a string'],
    ['no weight_map', '{"metadata":{}}', 'has no weight_map'],
    ['a weight_map that is an array', '{"weight_map":[]}', 'weight_map must be an object'],
    ['two weight_maps', '{"weight_map":{},"weight_map":{}}', 'weight_map is there twice'],
    ['a tensor twice', '{"weight_map":{"a":"one.safetensors","a":"one.safetensors"}}', '"a" twice'],
    ['an array', '[]', 'must be an object'],
    ['no JSON', 'weight_map', 'must be an object'],
    ['more after the JSON', '{"weight_map":{}} {}', 'follows the closing brace'],
  ])('must not have %s', async (_, text, message) => {
    const path = folder({ [name]: text, 'one.safetensors': one });
    mkdirSync(join(path, 'sub'));
    const error = await rejected(() => openCheckpoint(path), 'ERR_CHECKPOINT', message);
    expect(error.path).toContain(path);
  });
});

describe('a folder', () => {
  it('holds one checkpoint of any kind', async () => {
    expect(await namesIn(folder({ 'x.safetensors': one, 'config.json': '{}' }))).toEqual(['a']);
    expect(await namesIn(folder({ 'x.ckpt': ckpt }))).toEqual(['c']);
  });

  it('may hold several kinds: an index comes first, then .safetensors', async () => {
    const files = { 'one.safetensors': one, 'two.safetensors': two, 'x.ckpt': ckpt };
    expect(
      await namesIn(
        folder({ ...files, 'm.safetensors.index.json': index({ b: 'two.safetensors' }) }),
      ),
    ).toEqual(['b']);
    expect(await namesIn(folder({ 'one.safetensors': one, 'x.ckpt': ckpt }))).toEqual(['a']);
  });

  it("may hold several of a kind if one has diffusers' name", async () => {
    const files = {
      'a.safetensors': two,
      'diffusion_pytorch_model.fp16.safetensors': two,
      'diffusion_pytorch_model.safetensors': one,
    };
    expect(await namesIn(folder(files))).toEqual(['a']);
  });

  it('is ambiguous with several others', async () => {
    const path = folder({ 'e1.ckpt': ckpt, 'e2.ckpt': ckpt });
    await rejected(
      () => openCheckpoint(path),
      'ERR_CHECKPOINT',
      path,
      'e1.ckpt, e2.ckpt',
      'name the file',
    );
  });

  it('must hold one', async () => {
    const path = folder({ 'model.bin': one });
    await rejected(() => openCheckpoint(path), 'ERR_CHECKPOINT', path, 'holds no');
  });
});

describe('openCheckpoint', () => {
  it('refuses what is no path', async () => {
    for (const path of [undefined, null, 7, '', 'a\0b', {}]) {
      await rejected(() => openCheckpoint(path as string), 'ERR_VALUE', 'path must be a path');
    }
  });

  it('refuses what does not exist, has another ending, or is no file', async () => {
    await rejected(
      () => openCheckpoint(join(root.path, 'none.ckpt')),
      'ERR_CHECKPOINT',
      'none.ckpt',
      'ENOENT',
    );
    await rejected(
      () => openCheckpoint(root.write('model.bin', one)),
      'ERR_CHECKPOINT',
      'must end in',
    );
    await rejected(() => openCheckpoint('/dev/null'), 'ERR_CHECKPOINT', 'must end in');
  });

  it('refuses a named pipe instead of waiting for a writer', async () => {
    const path = join(root.path, 'pipe.safetensors');
    expect(spawnSync('mkfifo', [path]).status).toBe(0);
    await rejected(() => openCheckpoint(path), 'ERR_CHECKPOINT', 'not a regular file');
  });
});
