import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openCheckpoint } from '../../lib/index.js';
import { rejected } from '../support/errors.js';
import { rawBits } from '../support/tensors.js';

const folder = join(__dirname, 'fixtures');

type Expected = Record<string, Record<string, { dtype: string; shape: number[]; bytes: string }>>;

const expected = JSON.parse(readFileSync(join(folder, 'expected.json'), 'utf8')) as Expected;
const loadable = new Set(['float64', 'float32', 'float16', 'bfloat16', 'int32', 'int64']);

// fixtures/README.md describes how the files were made.
describe.each(Object.entries(expected))('%s, written by the real package', (file, tensors) => {
  it('holds the tensors that the package was given', async () => {
    const checkpoint = await openCheckpoint(join(folder, file));
    expect(checkpoint.names()).toEqual(expect.arrayContaining(Object.keys(tensors)));
    for (const [name, { dtype, shape, bytes }] of Object.entries(tensors)) {
      expect(checkpoint.info(name)).toEqual({ dtype, shape });
      if (!loadable.has(dtype)) {
        await rejected(() => checkpoint.tensor(name), 'ERR_DTYPE', dtype);
        continue;
      }
      const tensor = await checkpoint.tensor(name);
      expect([tensor.dtype, tensor.shape]).toEqual([dtype, shape]);
      expect(Buffer.from(rawBits(tensor)).toString('hex')).toBe(bytes);
      tensor.dispose();
    }
    await checkpoint.close();
  });
});

describe('the real packages', () => {
  it('write metadata that is read back', async () => {
    const checkpoint = await openCheckpoint(join(folder, 'real.safetensors'));
    expect(Object.fromEntries(checkpoint.metadata)).toEqual({ format: 'pt', note: 'ü' });
    await checkpoint.close();
  });

  it('write strings and numbers of append_dict among the tensors', async () => {
    const checkpoint = await openCheckpoint(join(folder, 'real.ckpt'));
    expect(checkpoint.names().slice(-4)).toEqual(['text', 'flag', 'count', 'rate']);
    expect(checkpoint.info('text')).toEqual({ dtype: 'string', shape: [] });
    expect(checkpoint.info('flag')).toEqual({ dtype: 'bool', shape: [] });
    const count = await checkpoint.tensor('count');
    expect([count.dtype, count.shape, count.data[0]]).toEqual(['int64', [], 3n]);
    await checkpoint.close();
  });

  it('write encrypted files, which are refused as such', async () => {
    await rejected(
      () => openCheckpoint(join(folder, 'real-encrypted.ckpt')),
      'ERR_CHECKPOINT',
      'is encrypted',
    );
  });
});
