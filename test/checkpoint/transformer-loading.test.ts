import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { LatteEmbeddings, loadEmbeddings, TransformerEmbeddings } from '../../lib/index.js';
import { defaultDevice as device } from '../support/devices.js';
import { rejected, refused } from '../support/errors.js';
import { temporaryFolder } from './builders.js';
import { folderOf } from './family-models.js';

describe('a checkpoint that does not fit its config.json', () => {
  const changed = async (
    name: string,
    change: (config: Record<string, unknown>) => void,
    ...expected: Parameters<typeof rejected> extends [unknown, ...infer Rest] ? Rest : never
  ): Promise<void> => {
    const folder = mkdtempSync(join(tmpdir(), 'latte-family-'));
    try {
      cpSync(folderOf(name), folder, { recursive: true });
      const path = join(folder, 'config.json');
      const config = JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;
      change(config);
      writeFileSync(path, JSON.stringify(config));
      await rejected(
        () => TransformerEmbeddings.fromPretrained(folder, { device: 'cpu' }),
        ...expected,
      );
    } finally {
      rmSync(folder, { recursive: true });
    }
  };

  it.each<[string, string, (config: Record<string, unknown>) => void, RegExp]>([
    ['a field is missing', 'flux_float32', (c) => delete c.in_channels, /in_channels is missing/],
    ['a field is no number', 'sd3_float32', (c) => (c.sample_size = 'x'), /sample_size must be/],
    [
      'a width differs',
      'flux_float32',
      (c) => (c.in_channels = 9),
      /x_embedder\.weight.*\[24, 9\]/,
    ],
    [
      'an embedder is missing',
      'flux_float32',
      (c) => (c.guidance_embeds = true),
      /guidance_embedder/,
    ],
    ['a patch is strange', 'wan_t2v_float32', (c) => (c.patch_size = 2), /patchSize must be/],
    [
      'an activation is strange',
      'cogvideox_float32',
      (c) => (c.timestep_activation_fn = 'tan'),
      /Unsupported activation/,
    ],
    [
      'a shift is no number',
      'cogvideox_float32',
      (c) => (c.freq_shift = '0'),
      /freq_shift must be/,
    ],
    ['ofs has no tensors', 'cogvideox_float32', (c) => (c.ofs_embed_dim = 12), /ofs_embedding/],
  ])('%s', async (_, name, change, message) => {
    await changed(name, change, 'ERR_CHECKPOINT', message);
  });
});

const folderOfOlder = temporaryFolder();

describe('fromPretrained', () => {
  it.each<[string, unknown]>([
    ['TransformerEmbeddings', TransformerEmbeddings],
    ['LatteEmbeddings', LatteEmbeddings],
  ])('is the only way to make %s', (name, Model) => {
    for (const given of [[], ['folder'], ['folder', { device: 'cpu' }]]) {
      refused(
        () => Reflect.construct(Model as new () => object, given) as unknown,
        'ERR_VALUE',
        `new ${name}() makes no model; use await ${name}.fromPretrained(folder)`,
      );
    }
  });

  it.each([undefined, 'transformer'])('downloads nothing (subfolder %s)', async (subfolder) => {
    await rejected(
      () => TransformerEmbeddings.fromPretrained('black-forest-labs/none', { subfolder }),
      'ERR_CHECKPOINT',
      'black-forest-labs/none: does not exist, or may not be read; nothing is downloaded',
    );
  });

  it('shows the path of a missing config.json once', async () => {
    const { message } = await rejected(
      () => TransformerEmbeddings.fromPretrained(folderOf('sd3_float32'), { subfolder: 'none' }),
      'ERR_CHECKPOINT',
      'cannot be opened: ENOENT: no such file or directory',
    );
    expect(message.split('config.json')).toHaveLength(2);
  });
});

describe('loadEmbeddings chooses the class by the configuration', () => {
  it('LatteEmbeddings for Latte and PixArt, also under the older name of its class', async () => {
    const { path: place } = folderOfOlder;
    cpSync(folderOf('pixart_float16'), place, { recursive: true });
    const config = join(place, 'config.json');
    const fields = JSON.parse(readFileSync(config, 'utf8')) as object;
    const older = { ...fields, _class_name: 'Transformer2DModel', norm_type: 'ada_norm_single' };
    writeFileSync(config, JSON.stringify(older));
    for (const folder of [folderOf('pixart_float16'), place]) {
      using model = await loadEmbeddings(folder, { device, dtype: 'float32' });
      expect(model).toBeInstanceOf(LatteEmbeddings);
      expect((model as LatteEmbeddings).patchEmbed.dtype).toBe('float32');
    }
  });

  it('TransformerEmbeddings for the others, and refuses what neither class reads', async () => {
    using model = await loadEmbeddings(folderOf('sd3_float32'), { device });
    expect(model).toBeInstanceOf(TransformerEmbeddings);
    const { message } = await rejected(
      () => loadEmbeddings(folderOf('unknown_class'), { device }),
      'ERR_CHECKPOINT',
      'the known classes are LatteTransformer3DModel',
    );
    expect(message).toContain('QwenImageTransformer2DModel');
    const wrong = { nope: 1 } as never;
    await rejected(() => loadEmbeddings(folderOf('sd3_float32'), wrong), 'ERR_VALUE', 'nope');
  });
});
