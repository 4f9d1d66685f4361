import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readConfig } from '../../lib/checkpoint/config.js';
import type { LatteConfig } from '../../lib/checkpoint/latte-config.js';
import { goldenFolder } from '../support/golden.js';
import { rejected } from '../support/errors.js';
import { temporaryFolder } from './builders.js';

const root = temporaryFolder();
let count = 0;

const base = {
  _class_name: 'LatteTransformer3DModel',
  attention_head_dim: 12,
  caption_channels: 32,
  in_channels: 4,
  norm_type: 'ada_norm_single',
  num_attention_heads: 4,
  patch_size: 2,
  sample_size: 8,
  video_length: 16,
};

function read(config: unknown): Promise<LatteConfig> {
  const folder = join(root.path, `config-${count++}`);
  mkdirSync(folder);
  writeFileSync(
    join(folder, 'config.json'),
    typeof config === 'string' || Buffer.isBuffer(config) ? config : JSON.stringify(config),
  );
  return readConfig(folder);
}

function without(field: keyof typeof base): Record<string, unknown> {
  return Object.fromEntries(Object.entries(base).filter(([name]) => name !== field));
}

describe('config.json', () => {
  it('of diffusers, mindone and PixArt gives the same fields', async () => {
    const folder = join(goldenFolder, 'checkpoints');
    const common = {
      numAttentionHeads: 4,
      attentionHeadDim: 12,
      innerDim: 48,
      inChannels: 4,
      patchSize: 2,
      captionChannels: 32,
      normType: 'ada_norm_single',
    };
    expect(await readConfig(join(folder, 'latte', 'transformer'))).toMatchObject({
      ...common,
      className: 'LatteTransformer3DModel',
      sampleSize: [8, 8],
      videoLength: 16,
      interpolationScale: 1,
      interpolationScale1d: 1,
      useAdditionalConditions: false,
    });
    expect(await readConfig(join(folder, 'pixart', 'transformer'))).toMatchObject({
      ...common,
      className: 'PixArtTransformer2DModel',
      sampleSize: [128, 128],
      interpolationScale: 2,
      useAdditionalConditions: true,
    });
    expect(await readConfig(join(folder, 'latte_mindone'))).toMatchObject({
      ...common,
      className: 'LatteT2V',
      sampleSize: [8, 8],
      videoLength: 33,
      interpolationScale1d: 2,
      useAdditionalConditions: false,
    });
  });

  it('gives the rules of the 2-D scale', async () => {
    expect((await read({ ...base, sample_size: 63 })).interpolationScale).toBe(1);
    expect((await read({ ...base, sample_size: 191 })).interpolationScale).toBe(2);
    expect((await read({ ...base, sample_size: [256, 64] })).interpolationScale).toBe(4);
    const pixart = { ...base, _class_name: 'PixArtTransformer2DModel' };
    expect((await read({ ...pixart, interpolation_scale: 0.75 })).interpolationScale).toBe(0.75);
    expect((await read({ ...pixart, interpolation_scale: null })).interpolationScale).toBe(1);
  });

  it('gives the rules of the temporal scale', async () => {
    const scale = async (config: unknown): Promise<number | null> =>
      (await read(config)).interpolationScale1d;
    const v10 = { ...base, _class_name: 'LatteT2V', sample_size: [8, 8] };
    const v11 = { ...v10, use_rope: null };
    for (const [frames, ofV10, ofV11] of [
      [1, 1, 1],
      [16, 3, 1],
      [17, 3, 1],
      [31, 6, 1],
      [32, 6, 2],
      [33, 6, 2],
      [65, 13, 4],
      [221, 44, 13],
    ] as const) {
      expect(await scale({ ...v10, video_length: frames })).toBe(ofV10);
      for (const field of ['compress_kv_factor', 'model_max_length', 'interpolation_scale_1d'])
        expect(await scale({ ...v10, [field]: null, video_length: frames })).toBe(ofV11);
      expect(await scale({ ...v11, video_length: frames })).toBe(ofV11);
      // The class of the same name in Vchitect and in diffusers has no such scale.
      expect(await scale({ ...v11, sample_size: 64, video_length: frames })).toBe(1);
      expect(await scale({ ...base, video_length: frames })).toBe(1);
    }
    expect(await scale({ ...v11, interpolation_scale_1d: 1.5 })).toBe(1.5);
    expect(await scale({ ...v11, interpolation_scale_1d: 0.5 })).toBe(1);
    const { _class_name, ...nameless } = base;
    expect(_class_name).toBe(base._class_name);
    expect(await scale({ ...nameless, video_length: 65 })).toBe(1);
    expect(await scale({ ...nameless, video_length: 65, sample_size: [8, 8] })).toBe(13);
    expect(
      await scale({ ...nameless, video_length: 65, sample_size: [8, 8], use_rope: true }),
    ).toBe(4);
    expect(await scale({ ...base, _class_name: 'PixArtTransformer2DModel' })).toBeNull();
  });

  it('names the model that was recognised, and the reason', async () => {
    const model = async (config: unknown, family?: 'PixArt' | 'diffusers'): Promise<string[]> => {
      const folder = join(root.path, `model-${count++}`);
      mkdirSync(folder);
      writeFileSync(join(folder, 'config.json'), JSON.stringify(config));
      const { name, because } = (await readConfig(folder, family)).model;
      return [name, because];
    };
    expect(await model(base)).toEqual([
      'Latte of diffusers',
      '_class_name is "LatteTransformer3DModel"',
    ]);
    expect(await model({ ...base, _class_name: 'LatteT2V' })).toEqual([
      'Latte of Vchitect',
      '_class_name is "LatteT2V", and sample_size is a number',
    ]);
    expect(await model({ ...base, _class_name: 'Transformer2DModel' })).toEqual([
      'PixArt of diffusers before 0.28',
      expect.stringContaining('norm_type is "ada_norm_single"'),
    ]);
    expect(await model(without('_class_name'), 'PixArt')).toEqual([
      'PixArt of diffusers',
      "there is no _class_name, and the weights have the original PixArt's names",
    ]);
    const { video_length: _, ...image } = without('_class_name');
    expect((await model(image))[0]).toBe('PixArt of diffusers');
    expect((await model({ ...image, use_rope: false, sample_size: [8, 8] }))[0]).toBe(
      'Open-Sora-Plan v1.1, also of mindone',
    );
  });

  it('refuses other models by name', async () => {
    for (const [config, ...said] of [
      [{ ...base, _class_name: 'OpenSoraT2V' }, '"OpenSoraT2V"', 'LatteT2V', 'is another model'],
      [{ ...base, _class_name: 'SomethingElse' }, '"SomethingElse"', 'PixArtTransformer2DModel'],
      [{ ...base, _class_name: 'Transformer2DModel', norm_type: 'ada_norm_zero' }, 'norm_type'],
      [{ ...base, _class_name: 5 }, '_class_name must be a string'],
      [{ ...without('_class_name'), sample_size_t: 8 }, 'OpenSoraT2V', 'sample_size_t'],
    ] as const) {
      await rejected(() => read(config), 'ERR_CHECKPOINT', ...said);
    }
  });

  it('leaves fields without effect that the class ignores', async () => {
    const fields = {
      interpolation_scale: 3,
      interpolation_scale_1d: 'x',
      use_additional_conditions: true,
    };
    expect(await read({ ...base, ...fields })).toMatchObject({
      interpolationScale: 1,
      interpolationScale1d: 1,
      useAdditionalConditions: false,
    });
    const mindone = { ...base, _class_name: 'LatteT2V', sample_size: [8, 8] };
    expect(await read({ ...mindone, ...fields, interpolation_scale_1d: null })).toMatchObject({
      interpolationScale: 1,
      useAdditionalConditions: false,
    });
  });

  it("takes the class's defaults of fields that are left out", async () => {
    expect(await read(without('sample_size'))).toMatchObject({ sampleSize: [64, 64] });
    const least = { _class_name: 'PixArtTransformer2DModel' };
    expect(await read(least)).toMatchObject({
      innerDim: 16 * 72,
      inChannels: 4,
      patchSize: 2,
      sampleSize: [128, 128],
      captionChannels: null,
      videoLength: null,
      useAdditionalConditions: true,
      normType: 'ada_norm_single',
    });
    await rejected(() => read({ ...least, patch_size: null }), 'ERR_CHECKPOINT', 'is null');
  });

  it('gives the rules of size conditions', async () => {
    const pixart = { ...base, _class_name: 'PixArtTransformer2DModel' };
    expect((await read({ ...pixart, sample_size: 128 })).useAdditionalConditions).toBe(true);
    expect((await read({ ...pixart, sample_size: 64 })).useAdditionalConditions).toBe(false);
    expect(
      (await read({ ...pixart, sample_size: 128, use_additional_conditions: false }))
        .useAdditionalConditions,
    ).toBe(false);
    expect(
      (await read({ ...pixart, use_additional_conditions: true })).useAdditionalConditions,
    ).toBe(true);
    expect(
      (await read({ ...without('_class_name'), sample_size: 128 })).useAdditionalConditions,
    ).toBe(true);
    expect((await read({ ...base, sample_size: 128 })).useAdditionalConditions).toBe(false);
    expect(
      (await read({ ...base, _class_name: 'LatteT2V', sample_size: [128, 128] }))
        .useAdditionalConditions,
    ).toBe(false);
  });

  it('has 16 frames if video_length is missing', async () => {
    expect((await read(without('video_length'))).videoLength).toBe(16);
  });

  it('is frozen, as is what was parsed', async () => {
    const config = await read({ ...base, nested: { deep: [1] } });
    expect(
      Object.isFrozen(config) && Object.isFrozen(config.sampleSize) && Object.isFrozen(config.raw),
    ).toBe(true);
    expect(Object.isFrozen((config.raw.nested as { deep: number[] }).deep)).toBe(true);
    expect(config.raw.nested).toEqual({ deep: [1] });
  });

  it.each(['norm_type', 'in_channels', 'patch_size', 'caption_channels'] as const)(
    'must have %s',
    async (field) => {
      const error = await rejected(
        () => read(without(field)),
        'ERR_CHECKPOINT',
        'config.json',
        `${field} is missing`,
      );
      expect(error.path).toMatch(/config\.json$/);
    },
  );

  it.each([
    ['LatteTransformer3DModel', 8],
    ['LatteT2V', 8],
    ['LatteT2V', [8, 8]],
    ['PixArtTransformer2DModel', 8],
  ])(
    'may leave caption_channels out if %s with sample_size %j works without',
    async (name, size) => {
      const { caption_channels: _, ...rest } = base;
      const config = { ...rest, _class_name: name, sample_size: size };
      if (name === 'LatteTransformer3DModel') {
        await rejected(() => read(config), 'ERR_CHECKPOINT', 'caption_channels is missing');
      } else {
        expect((await read(config)).captionChannels).toBeNull();
      }
    },
  );

  it.each<[string, unknown, string, string]>([
    ['norm_type', 'layer_norm', '"ada_norm_single"', '"layer_norm"'],
    ['norm_type', null, '"ada_norm_single"', 'null'],
    ['num_attention_heads', 0, 'whole number', 'is 0'],
    ['num_attention_heads', '4', 'whole number', '"4"'],
    ['attention_head_dim', 1.5, 'whole number', '1.5'],
    ['in_channels', -4, 'whole number', '-4'],
    ['patch_size', [2, 2], 'whole number', '[2, 2]'],
    ['patch_size', 1e9, 'whole number', '1000000000'],
    ['caption_channels', null, 'whole number', 'null'],
    ['sample_size', [8], '[height, width]', '[8]'],
    ['sample_size', [8, 8, 8], '[height, width]', '[8, 8, 8]'],
    ['sample_size', [8, '8'], '[height, width]', '"8"'],
    ['sample_size', 1e9, '[height, width]', '1000000000'],
    ['sample_size', { 0: 8, 1: 8, length: 2 }, '[height, width]', 'an object'],
    ['sample_size', 1, 'at least patch_size (2)', 'is 1'],
    ['video_length', 0, 'whole number', 'is 0'],
    ['video_length', true, 'whole number', 'true'],
    ['interpolation_scale', 0, 'positive number', 'is 0'],
    ['interpolation_scale', '1', 'positive number', '"1"'],
    ['interpolation_scale_1d', -1, 'positive number', '-1'],
    ['use_additional_conditions', 1, 'true, false or null', 'is 1'],
  ])('must not have %s = %j', async (field, value, expected, given) => {
    const obeying: Record<string, unknown> = {
      interpolation_scale: { _class_name: 'PixArtTransformer2DModel' },
      interpolation_scale_1d: { _class_name: 'LatteT2V', sample_size: [8, 8] },
      use_additional_conditions: { _class_name: 'PixArtTransformer2DModel' },
    };
    await rejected(
      () => read({ ...base, ...(obeying[field] as object), [field]: value }),
      'ERR_CHECKPOINT',
      `${field} must be`,
      expected,
      given,
    );
  });

  it('must have dimensions for which tables and embedders exist', async () => {
    await rejected(
      () => read({ ...base, attention_head_dim: 11, num_attention_heads: 3 }),
      'ERR_CHECKPOINT',
      'multiple of 4',
      '33',
    );
    await rejected(
      () => read({ ...base, attention_head_dim: 65_536 }),
      'ERR_CHECKPOINT',
      'up to 65536',
      '262144',
    );
    await rejected(
      () =>
        read({
          ...base,
          _class_name: 'PixArtTransformer2DModel',
          attention_head_dim: 16,
          use_additional_conditions: true,
        }),
      'ERR_CHECKPOINT',
      'multiple of 3',
      '64',
    );
  });

  it('has only its own fields, not those that every object inherits', async () => {
    await rejected(
      () => read('{"__proto__":{"norm_type":"ada_norm_single"}}'),
      'ERR_CHECKPOINT',
      'norm_type is missing',
    );
    const config = await read(
      JSON.stringify(base).replace('{', '{"__proto__":{"video_length":7},"constructor":1,'),
    );
    expect(config.videoLength).toBe(16);
    expect(({} as { video_length?: number }).video_length).toBeUndefined();
    const prototype = Object.prototype as { norm_type?: string };
    prototype.norm_type = 'ada_norm_single';
    try {
      await rejected(() => read(without('norm_type')), 'ERR_CHECKPOINT', 'norm_type is missing');
    } finally {
      delete prototype.norm_type;
    }
  });

  it.each([
    ['no JSON', '{', 'is not JSON'],
    ['nothing', '', 'is not JSON'],
    ['a byte order mark', `\ufeff${JSON.stringify(base)}`, 'is not JSON'],
    ['bytes that are not UTF-8', Buffer.from([0x22, 0xff, 0x22]), 'is not JSON'],
    ['an array', '[]', 'must hold an object'],
    ['null', 'null', 'must hold an object'],
    ['more than a mebibyte', Buffer.alloc(1024 * 1024 + 1, ' '), 'at the most'],
  ])('must not hold %s', async (_, text, message) => {
    await rejected(() => read(text), 'ERR_CHECKPOINT', 'config.json', message);
  });

  it('may be nested deeply', async () => {
    const deep = `${'['.repeat(5_000)}${']'.repeat(5_000)}`;
    expect((await read(JSON.stringify(base).replace('{', `{"x":${deep},`))).innerDim).toBe(48);
  });

  it('must exist', async () => {
    await rejected(() => readConfig(root.path), 'ERR_CHECKPOINT', 'config.json', 'ENOENT');
  });
});
