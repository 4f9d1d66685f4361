import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openCheckpoint, Tensor, writeSafetensors } from '../../lib/index.js';
import { refused, rejected } from '../support/errors.js';
import { random, smallPatchEmbed } from '../support/layers.js';
import { rawBits, tensorOf, valuesOf } from '../support/tensors.js';
import { temporaryFolder } from './builders.js';

const folder = temporaryFolder();

function path(name: string): string {
  return join(folder.path, name);
}

describe('writeSafetensors', () => {
  it('writes what openCheckpoint reads, of every dtype', async () => {
    const tensors = new Map<string, Tensor>([
      ['int32', tensorOf('int32', [3], [-1, 0, 1])],
      ['bfloat16', tensorOf('bfloat16', [2, 1], [1.5, -2])],
      ['float16', tensorOf('float16', [1], [0.5])],
      ['int64', tensorOf('int64', [1], [-7])],
      ['scalar', tensorOf('float64', [], [2.5])],
      ['empty', tensorOf('float32', [0, 3], [])],
      ['__proto__', tensorOf('float32', [1], [1])],
      ['', tensorOf('float32', [1], [2])],
      ['with "quotes"\n', tensorOf('float32', [1], [3])],
    ]);
    const metadata = JSON.parse('{"format":"pt","__proto__":"x"}') as Record<string, string>;
    await writeSafetensors(path('all.safetensors'), tensors, { metadata });
    const checkpoint = await openCheckpoint(path('all.safetensors'));
    expect(new Set(checkpoint.names())).toEqual(new Set(tensors.keys()));
    expect([...checkpoint.metadata]).toEqual(Object.entries(metadata));
    for (const [name, tensor] of tensors) {
      const read = await checkpoint.tensor(name);
      expect([read.dtype, read.shape]).toEqual([tensor.dtype, tensor.shape]);
      expect(rawBits(read)).toEqual(rawBits(tensor));
    }
    await checkpoint.close();
  });

  it('puts wide elements first, then goes by name, and starts the data at a multiple of 8', async () => {
    const tensors = {
      b: tensorOf('float32', [1], [1]),
      a: tensorOf('float32', [1], [2]),
      half: tensorOf('float16', [1], [3]),
      wide: tensorOf('float64', [1], [4]),
    };
    await writeSafetensors(path('order.safetensors'), tensors);
    const bytes = readFileSync(path('order.safetensors'));
    const length = Number(bytes.readBigUInt64LE());
    expect(length % 8).toBe(0);
    const header = JSON.parse(bytes.toString('utf8', 8, 8 + length)) as Record<
      string,
      { data_offsets: number[] }
    >;
    expect(Object.keys(header)).toEqual(['wide', 'a', 'b', 'half']);
    expect(Object.values(header).map(({ data_offsets }) => data_offsets)).toEqual([
      [0, 8],
      [8, 12],
      [12, 16],
      [16, 18],
    ]);
    expect(bytes.length).toBe(8 + length + 18);
  });

  it('writes a file without tensors', async () => {
    await writeSafetensors(path('none.safetensors'), {});
    const checkpoint = await openCheckpoint(path('none.safetensors'));
    expect(checkpoint.names()).toEqual([]);
    await checkpoint.close();
  });

  it('replaces a file whole or leaves it, and nothing beside it', async () => {
    const file = path('replaced.safetensors');
    writeFileSync(file, 'old');
    const gone = tensorOf('float32', [1], [1]);
    gone.dispose();
    await rejected(() => writeSafetensors(file, { gone }), 'ERR_DISPOSED');
    expect(readFileSync(file, 'utf8')).toBe('old');
    await writeSafetensors(file, { a: tensorOf('float32', [1], [1]) });
    expect(readFileSync(file).length).toBeGreaterThan(8);
    await rejected(
      () => writeSafetensors(path('no/such/folder.safetensors'), {}),
      'ERR_CHECKPOINT',
      'ENOENT',
    );
    // A folder in the file's place makes the last step fail, after everything was written.
    await rejected(() => writeSafetensors(folder.path, {}), 'ERR_CHECKPOINT', 'cannot be written');
    expect(readdirSync(folder.path).filter((name) => name.endsWith('.tmp'))).toEqual([]);
    expect(
      readdirSync(join(folder.path, '..')).filter((name) =>
        name.startsWith(`.${folder.path.split('/').at(-1)}`),
      ),
    ).toEqual([]);
  });

  it('takes the longest name that a file may have, and no longer one', async () => {
    const tensors = { a: tensorOf('float32', [1], [1]) };
    await writeSafetensors(path(`${'n'.repeat(243)}.safetensors`), tensors);
    await rejected(
      () => writeSafetensors(path(`${'n'.repeat(300)}.safetensors`), tensors),
      'ERR_CHECKPOINT',
      'ENAMETOOLONG',
    );
  });

  it('leaves the file if a tensor is lost, or not there yet, while it writes', async () => {
    const file = path('kept.safetensors');
    writeFileSync(file, 'old');
    const values = new Float32Array(65536);
    const array = new Tensor('float32', values);
    const transferred = writeSafetensors(file, { array });
    structuredClone(values, { transfer: [values.buffer] });
    await rejected(() => transferred, 'ERR_STATE', 'tensors["array"]', 'detached');
    const own = Tensor.zeros([65536]);
    const disposed = writeSafetensors(file, { own });
    own.dispose();
    await rejected(() => disposed, 'ERR_STATE', 'tensors["own"]', 'disposed');
    const layer = smallPatchEmbed();
    const out = Tensor.zeros([64, 16, 16], { device: layer.device });
    const writing = layer.forward(random([64, 4, 8, 8]), { out });
    if (out.device === 'cpu') {
      await rejected(() => writeSafetensors(file, { out }), 'ERR_STATE', 'being written');
    }
    await writing;
    expect(readFileSync(file, 'utf8')).toBe('old');
    // Forwards must not write a tensor that is being written into the file.
    const before = valuesOf(await out.to('cpu'));
    const written = writeSafetensors(file, { first: random([1]), out });
    const other = Tensor.zeros([64, 4, 8, 8]);
    await rejected(() => layer.forward(other, { out }), 'ERR_STATE', 'out is still being read');
    refused(() => layer.forwardSync(other, { out }), 'ERR_STATE', 'out is still being read');
    await written;
    const checkpoint = await openCheckpoint(file);
    expect(valuesOf(await checkpoint.tensor('out'))).toEqual(before);
    await checkpoint.close();
    await layer.forward(other, { out });
    expect(readdirSync(folder.path).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });

  it('refuses names, metadata and tensors that the format does not allow', async () => {
    const tensor = tensorOf('float32', [1], [1]);
    const file = path('refused.safetensors');
    await rejected(
      () => writeSafetensors(file, { __metadata__: tensor }),
      'ERR_VALUE',
      '__metadata__',
    );
    await rejected(
      () => writeSafetensors(file, { '\ud800': tensor }),
      'ERR_VALUE',
      'a tensor name',
    );
    await rejected(
      () => writeSafetensors(file, { a: 1 as unknown as Tensor }),
      'ERR_VALUE',
      'tensors["a"]',
    );
    await rejected(
      () => writeSafetensors(file, { a: tensor }, { metadata: { k: 1 as unknown as string } }),
      'ERR_VALUE',
      'metadata["k"]',
    );
    await rejected(() => writeSafetensors('', { a: tensor }), 'ERR_VALUE', 'path');
    expect(readdirSync(folder.path)).not.toContain('refused.safetensors');
  });
});
