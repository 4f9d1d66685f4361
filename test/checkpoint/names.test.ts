import { describe, expect, it } from 'vitest';
import { openCheckpoint, type Checkpoint } from '../../lib/index.js';
import type { LatteConfig } from '../../lib/checkpoint/latte-config.js';
import { findParameters, type FoundParameters } from '../../lib/checkpoint/names.js';
import { rejected } from '../support/errors.js';
import { entry, safetensors, temporaryFolder } from './builders.js';

const folder = temporaryFolder();

// D 12, K 5, C 3, p 2, 7 frames. A latent of 6 × 4 has 6 tokens, and a square stored table: 4 rows.
const config: LatteConfig = {
  className: undefined,
  model: {
    name: '',
    readFrom: '',
    because: '',
    rules: { scale2d: '1', scale1d: '1', sizes: 'none' },
  },
  numAttentionHeads: 3,
  attentionHeadDim: 4,
  innerDim: 12,
  inChannels: 3,
  patchSize: 2,
  sampleSize: [6, 4],
  captionChannels: 5,
  videoLength: 7,
  interpolationScale: 1,
  interpolationScale1d: 1,
  useAdditionalConditions: true,
  normType: 'ada_norm_single',
  raw: {},
};

/** [layer, its parameter, diffusers' name, PixArt's name, shape]. */
const parameters = (
  [
    ['posEmbed', 'proj', 'pos_embed.proj', 'x_embedder.proj', [12, 3, 2, 2]],
    [
      'adalnSingle',
      'emb.timestep_embedder.linear_1',
      'adaln_single.emb.timestep_embedder.linear_1',
      't_embedder.mlp.0',
      [12, 256],
    ],
    [
      'adalnSingle',
      'emb.timestep_embedder.linear_2',
      'adaln_single.emb.timestep_embedder.linear_2',
      't_embedder.mlp.2',
      [12, 12],
    ],
    [
      'adalnSingle',
      'emb.resolution_embedder.linear_1',
      'adaln_single.emb.resolution_embedder.linear_1',
      'csize_embedder.mlp.0',
      [4, 256],
    ],
    [
      'adalnSingle',
      'emb.resolution_embedder.linear_2',
      'adaln_single.emb.resolution_embedder.linear_2',
      'csize_embedder.mlp.2',
      [4, 4],
    ],
    [
      'adalnSingle',
      'emb.aspect_ratio_embedder.linear_1',
      'adaln_single.emb.aspect_ratio_embedder.linear_1',
      'ar_embedder.mlp.0',
      [4, 256],
    ],
    [
      'adalnSingle',
      'emb.aspect_ratio_embedder.linear_2',
      'adaln_single.emb.aspect_ratio_embedder.linear_2',
      'ar_embedder.mlp.2',
      [4, 4],
    ],
    ['adalnSingle', 'linear', 'adaln_single.linear', 't_block.1', [72, 12]],
    [
      'captionProjection',
      'linear_1',
      'caption_projection.linear_1',
      'y_embedder.y_proj.fc1',
      [12, 5],
    ],
    [
      'captionProjection',
      'linear_2',
      'caption_projection.linear_2',
      'y_embedder.y_proj.fc2',
      [12, 12],
    ],
  ] as const
).flatMap(([layer, parameter, diffusers, pixArt, shape]) =>
  (['weight', 'bias'] as const).map((kind) => ({
    layer,
    parameter: `${parameter}.${kind}`,
    diffusers: `${diffusers}.${kind}`,
    pixArt: `${pixArt}.${kind}`,
    shape: kind === 'weight' ? [...shape] : [shape[0]],
  })),
);

type Shapes = Map<string, number[]>;

function names(family: 'diffusers' | 'pixArt', prefix = ''): Shapes {
  return new Map(parameters.map((item) => [prefix + item[family], item.shape]));
}

function openShapes(shapes: Shapes, dtype = 'F16'): Promise<Checkpoint> {
  let end = 0;
  const header = [...shapes].map(([name, shape]) =>
    entry(
      name,
      dtype,
      shape,
      end,
      (end += shape.reduce((product, length) => product * length, dtype === 'I8' ? 1 : 2)),
    ),
  );
  return openCheckpoint(
    folder.write('names.safetensors', safetensors(`{${header.join(',')}}`, end)),
  );
}

async function find(
  shapes: Shapes,
  of: LatteConfig = config,
  dtype = 'F16',
): Promise<FoundParameters> {
  const checkpoint = await openShapes(shapes, dtype);
  try {
    return findParameters(checkpoint, of);
  } finally {
    await checkpoint.close();
  }
}

describe.each([
  ['diffusers', '', /diffusers/],
  ['diffusers', 'network.', /mindone.*network\./],
  ['pixArt', '', /original PixArt$/],
  ['pixArt', 'network.', /original PixArt.*network\./],
] as const)('names of %s with the prefix "%s"', (family, prefix, scheme) => {
  it('are found among others', async () => {
    const shapes = names(family, prefix)
      .set(`${prefix}blocks.0.attn1.to_q.weight`, [3])
      .set('epoch_num', []);
    const found = await find(shapes);
    expect(found.scheme).toMatch(scheme);
    expect(found.tempPosEmbed).toBeUndefined();
    expect(found.parameters).toEqual(
      parameters.map((item) => ({
        layer: item.layer,
        parameter: item.parameter,
        tensor: prefix + item[family],
      })),
    );
  });

  it.each(parameters.map((item) => item[family]))('%s must be there', async (name) => {
    const shapes = names(family, prefix);
    shapes.delete(prefix + name);
    await rejected(
      () => find(shapes),
      'ERR_CHECKPOINT',
      `tensor "${prefix}${name}" is missing`,
      new RegExp(`names tried: ${scheme.source.replace('$', '')}`),
    );
  });

  it('must have the shapes of config.json', async () => {
    for (const item of parameters) {
      const name = prefix + item[family];
      const wrong = [...item.shape.slice(0, -1), item.shape.at(-1)! + 1];
      await rejected(
        () => find(names(family, prefix).set(name, wrong)),
        'ERR_CHECKPOINT',
        `tensor "${name}" must have shape [${item.shape.join(', ')}]`,
        `has [${wrong.join(', ')}]`,
        'names tried',
      );
    }
    const name = `${prefix}${parameters[0]![family]}`;
    await rejected(
      () => find(names(family, prefix).set(name, [12, 12])),
      'ERR_CHECKPOINT',
      `"${name}"`,
      'has [12, 12]',
    );
    await rejected(
      () => find(names(family, prefix).set(name, [12, 3, 2, 2, 1])),
      'ERR_CHECKPOINT',
      `"${name}"`,
      'has [12, 3, 2, 2, 1]',
    );
    await rejected(
      () => find(names(family, prefix).set(name, [])),
      'ERR_CHECKPOINT',
      `"${name}"`,
      'has []',
    );
  });

  it('need no size embedders without size conditions', async () => {
    const shapes = names(family, prefix);
    const sizes = /resolution_embedder|aspect_ratio_embedder|csize_embedder|ar_embedder/;
    for (const name of shapes.keys()) if (sizes.test(name)) shapes.delete(name);
    const found = await find(shapes, { ...config, useAdditionalConditions: false });
    expect(found.parameters).toHaveLength(12);
    await rejected(
      () => find(shapes),
      'ERR_CHECKPOINT',
      /(resolution_embedder.linear_1|csize_embedder.mlp.0).weight" is missing/,
    );
  });
});

describe('tables that mindone stores', () => {
  it.each(['', 'network.'])(
    'are found with the prefix "%s", and the caption table is ignored',
    async (prefix) => {
      const shapes = names('diffusers', prefix)
        .set(`${prefix}pos_embed.pos_embed`, [1, 4, 12])
        .set(`${prefix}temp_pos_embed`, [1, 7, 12])
        .set(`${prefix}caption_projection.y_embedding`, [99, 5]);
      const found = await find(shapes);
      expect(found.tempPosEmbed).toBe(`${prefix}temp_pos_embed`);
      expect(found.parameters).toContainEqual({
        layer: 'posEmbed',
        parameter: 'pos_embed',
        tensor: `${prefix}pos_embed.pos_embed`,
      });
      expect(found.parameters).toHaveLength(parameters.length + 1);
    },
  );

  it('must have the shapes of config.json', async () => {
    await rejected(
      () => find(names('diffusers').set('pos_embed.pos_embed', [1, 6, 12])),
      'ERR_CHECKPOINT',
      '"pos_embed.pos_embed" must have shape [1, 4, 12]',
    );
  });

  it.each([
    ['[F, D]', [7, 12], true],
    ['more rows than frames', [1, 16, 12], true],
    ['more rows than frames, in two axes', [16, 12], true],
    ['too few rows', [6, 12], false],
    ['rows of another width', [1, 7, 16], false],
    ['a batch of tables', [2, 7, 12], false],
  ])('of frames may have %s, or are computed', async (_, shape, fits) => {
    const found = await find(names('diffusers').set('temp_pos_embed', shape));
    expect(found.tempPosEmbed).toBe(fits ? 'temp_pos_embed' : undefined);
    expect(found.unused.map(({ tensor }) => tensor)).toEqual(fits ? [] : ['temp_pos_embed']);
  });

  it('are listed if they are not used', async () => {
    const shapes = names('diffusers')
      .set('pos_embed.pos_embed', [1, 6, 12])
      .set('caption_projection.y_embedding', [99, 5]);
    const problems: string[] = [];
    const open = await openShapes(shapes);
    const found = findParameters(open, config, ({ message }) => problems.push(message));
    await open.close();
    expect(found.unused.map(({ tensor }) => tensor)).toEqual([
      'pos_embed.pos_embed',
      'caption_projection.y_embedding',
    ]);
    expect(problems).toEqual([expect.stringContaining('must have shape [1, 4, 12]')]);
  });

  it('are not those of the original PixArt', async () => {
    expect((await find(names('pixArt').set('pos_embed', [1, 6, 12]))).parameters).toHaveLength(
      parameters.length,
    );
  });
});

describe('a checkpoint', () => {
  it('must not hold one parameter under two names', async () => {
    const both = new Map([...names('diffusers'), ...names('pixArt')]);
    await rejected(
      () => find(both),
      'ERR_CHECKPOINT',
      '"pos_embed.proj.weight" and "x_embedder.proj.weight" are both there',
      'names tried',
    );
    await rejected(
      () => find(names('pixArt').set('caption_projection.linear_2.bias', [12])),
      'ERR_CHECKPOINT',
      '"caption_projection.linear_2.bias" and "y_embedder.y_proj.fc2.bias"',
      'original PixArt',
    );
    await rejected(
      () => find(names('diffusers').set('network.pos_embed.proj.bias', [12])),
      'ERR_CHECKPOINT',
      '"network.pos_embed.proj.bias"',
    );
  });

  it('must not mix schemes', async () => {
    const mixed = names('diffusers');
    mixed.delete('adaln_single.linear.bias');
    mixed.set('t_block.1.bias', [72]);
    await rejected(
      () => find(mixed),
      'ERR_CHECKPOINT',
      '"adaln_single.linear.bias" is missing',
      'diffusers',
    );
  });

  it('must hold the layers under some scheme', async () => {
    await rejected(
      () => find(new Map([['decoder.weight', [3]]])),
      'ERR_CHECKPOINT',
      'pos_embed.proj.weight',
      'network.pos_embed.proj.weight',
      'x_embedder.proj.weight',
      'original PixArt',
    );
  });

  it('must hold them in floating-point numbers', async () => {
    await rejected(
      () => find(names('diffusers'), config, 'I8'),
      'ERR_DTYPE',
      '"pos_embed.proj.weight"',
      'int8',
      'diffusers',
    );
  });
});
