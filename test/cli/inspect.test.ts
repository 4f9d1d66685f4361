import { copyFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { LatteEmbeddings, Tensor } from '../../lib/index.js';
import { writeSafetensors } from '../../lib/checkpoint/write-safetensors.js';
import { rejected } from '../support/errors.js';
import {
  latteFolder,
  mindoneFolder,
  pixartFolder,
  run,
  temporaryFolders,
  trainFolder,
} from './run.js';

const folder = temporaryFolders();
const foundFolder = join(__dirname, '../checkpoint/fixtures/found');

interface Inspection {
  path: string;
  format: string;
  scheme?: string;
  config?: Record<string, unknown>;
  model?: { conditions?: { needed: string[]; optional: string[] }; noPlan?: string };
  tensors: { name: string; dtype: string; shape: number[]; bytes: number }[];
  unused: { name: string; reason: string }[];
  problems: string[];
  skipped: { count: number; bytes: number };
}

async function inspect(path: string, expectedStatus = 0): Promise<Inspection> {
  const { status, stdout, stderr } = await run(['inspect', path, '--json']);
  expect(stderr).toBe('');
  expect(status).toBe(expectedStatus);
  return JSON.parse(stdout) as Inspection;
}

describe('inspect', () => {
  it('shows names, configuration, embedding tensors and what is skipped', async () => {
    const { status, stdout, stderr } = await run(['inspect', latteFolder]);
    expect(stderr).toBe('');
    expect(status).toBe(0);
    expect(stdout).toMatch(/^ {2}Names +diffusers/m);
    expect(stdout).toMatch(/^ {2}hidden size +48 \(4 heads x 12\)$/m);
    expect(stdout).toMatch(/^ {2}pos_embed\.proj\.weight +float32 +\[48, 4, 2, 2\] +3\.07 kB$/m);
    expect(stdout).toMatch(
      /^12 tensors, .* kB; \d+ other tensors, .*B, are not needed and are skipped$/m,
    );
  });

  const siblingFolder = join(__dirname, '../golden-family/ckpt/wan_t2v_float32');

  it("shows another model's layers with their classes and options", async () => {
    const { status, stdout, stderr } = await run(['inspect', siblingFolder]);
    expect([status, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(/^ {2}class +WanTransformer3DModel$/m);
    expect(stdout).toMatch(
      /^ {2}patchEmbedding +PatchEmbed3d +patchSize \[1, 2, 2\], inChannels 4/m,
    );
    expect(stdout).toMatch(/^ {2}condition_embedder\.time_proj\.weight +float32 +\[144, 24\]/m);
    expect(stdout).toMatch(/^12 tensors, .* kB; 3 other tensors, .* are skipped$/m);
  });

  const family = join(siblingFolder, '..');

  it.each([
    ['wan_t2v_float32', 'timesteps, encoderHiddenStates'],
    [
      'wan_i2v_float16',
      'timesteps, encoderHiddenStates; may be left out: encoderHiddenStatesImage',
    ],
    [
      'flux_bfloat16',
      'timesteps, pooledProjection, guidance; may be left out: encoderHiddenStates',
    ],
    ['cogvideox_float32', 'timesteps'],
  ])('shows what the prepare of %s takes, in lines of 100 columns', async (name, takes) => {
    const { stdout } = await run(['inspect', join(family, name)]);
    expect(stdout).toMatch(new RegExp(`^  prepare takes +${takes}$`, 'm'));
    const [, table] = /^Configuration\n([^]*)^Embedding layers\n/m.exec(stdout)!;
    expect(table!.split('\n').filter((line) => line.length > 100)).toEqual([]);
  });

  it('wraps the options of a layer, and leaves none out', async () => {
    const { stdout } = await run(['inspect', join(family, 'cogvideox_float32')]);
    expect(stdout).toMatch(
      /^ {2}patchEmbed +CogVideoXPatchEmbed {2}patchSize 2, .*,\n {38}bias true, .*,\n/m,
    );
    expect(stdout).toMatch(/^ {38}useLearnedPositionalEmbeddings false\n {2}timeEmbedding /m);
  });

  it('gives the conditions as JSON, or why there is no plan', async () => {
    expect((await inspect(join(family, 'flux_bfloat16'))).model!.conditions).toEqual({
      needed: ['pooledProjection', 'guidance'],
      optional: ['encoderHiddenStates'],
    });
    const place = folder();
    const model = join(family, 'cogvideox_float32');
    const config = JSON.parse(readFileSync(join(model, 'config.json'), 'utf8')) as object;
    const text = JSON.stringify({ ...config, ofs_embed_dim: 8 });
    writeFileSync(join(place, 'config.json'), text);
    copyFileSync((await inspect(model)).path, join(place, 'model.safetensors'));
    const { model: found } = await inspect(place, 1); // it lacks the layer of ofs
    expect([found!.conditions, found!.noPlan]).toEqual([
      undefined,
      expect.stringMatching(/ofs_embed_dim and time_embed_dim differ/),
    ]);
    expect((await run(['inspect', place])).stdout).toMatch(/^ {2}prepare takes +nothing: ofs_/m);
  });

  it('lists the reasons why a sibling model cannot be loaded', async () => {
    const broken = folder();
    copyFileSync(join(siblingFolder, 'config.json'), join(broken, 'config.json'));
    const weight = Tensor.zeros([24, 4, 1, 2, 3]);
    await writeSafetensors(join(broken, 'model.safetensors'), { 'patch_embedding.weight': weight });
    const found = await inspect(broken, 1);
    expect(found.tensors).toEqual([]);
    expect(found.problems).toEqual([
      expect.stringContaining('patch_embedding.weight" must have shape [24, 4, 1, 2, 2]'),
      expect.stringContaining('lacks tensor "condition_embedder.time_embedder.linear_1.weight"'),
    ]);
    const { status, stdout, stderr } = await run(['inspect', broken]);
    expect(stdout).toMatch(/^Cannot be loaded: .*patch_embedding\.weight/m);
    expect([status, stderr]).toEqual([1, '']);
  });

  it.each([
    ['diffusers', latteFolder, 'safetensors', /^diffusers/, 12],
    ['diffusers with size conditions', pixartFolder, 'safetensors', /^diffusers/, 20],
    ['mindone', mindoneFolder, 'mindspore', /mindone/, 14],
    ['mindone training', trainFolder, 'mindspore', /network\./, 14],
  ])('gives JSON of a checkpoint of %s', async (_, path, format, scheme, count) => {
    const found = await inspect(path);
    expect(found.format).toBe(format);
    expect(found.scheme).toMatch(scheme);
    expect(found.config).toMatchObject({ innerDim: 48, captionChannels: 32, patchSize: 2 });
    expect(found.config).not.toHaveProperty('raw');
    expect(found.tensors).toHaveLength(count);
    expect(found.skipped.count).toBeGreaterThan(0);
    const projection = found.tensors.find(({ name }) => name.endsWith('pos_embed.proj.weight'))!;
    expect(projection.shape).toEqual([48, 4, 2, 2]);
    expect(projection.bytes).toBe(48 * 16 * (projection.dtype === 'float32' ? 4 : 2));
  });

  it('takes the folder above `transformer`, and the weights themselves', async () => {
    const whole = await inspect(latteFolder);
    expect(await inspect(join(latteFolder, '..'))).toEqual(whole);
    expect(await inspect(whole.path)).toEqual(whole);
  });

  it('lists every tensor where there is no config.json', async () => {
    const whole = await inspect(latteFolder);
    const place = folder();
    const path = join(place, 'alone.safetensors');
    copyFileSync(whole.path, path);
    const alone = await inspect(path);
    expect(alone.tensors).toHaveLength(whole.tensors.length + whole.skipped.count);
    expect(alone.skipped).toEqual({ count: 0, bytes: 0 });
    expect(alone).not.toHaveProperty('scheme');
    expect((await run(['inspect', path])).stdout).toContain(
      'No config.json beside it: all tensors are listed',
    );
    expect(existsSync(path)).toBe(true);
  });

  it.each<[string, string, string[]]>([
    [
      'opensora_v1.0_65x512',
      'Open-Sora-Plan v1.0.0',
      ['none of use_rope', 'v1.0.0, opensora/', 'max(video_length // 5, 1)', '3 in time'],
    ],
    [
      'opensora_v1.1_scale_half',
      'Open-Sora-Plan v1.1, also of mindone',
      ['one of use_rope', 'v1.1.0, opensora/', 'max(interpolation_scale_1d, 1)', '1 in time'],
    ],
    [
      'latte_t2v_vchitect_32',
      'Latte of Vchitect',
      ['sample_size is a number', 'latte_t2v.py', 'sample_size == 128', '1 in time'],
    ],
  ])('says that %s is %s, why, and by which rules', async (name, model, texts) => {
    const { status, stdout } = await run(['inspect', join(foundFolder, name)]);
    expect(status).toBe(0);
    expect(stdout).toMatch(new RegExp(`^ {2}model +${model}$`, 'm'));
    for (const text of texts) expect(stdout).toContain(text);
    for (const line of ['recognised by', 'rules read from', 'rule in a frame', 'rule in time'])
      expect(stdout).toMatch(new RegExp(`^ {2}${line} +\\S`, 'm'));
  });

  it('shows stored tables that are not used, and why loading refuses one', async () => {
    const place = folder();
    const latte = await LatteEmbeddings.fromPretrained(latteFolder, { device: 'cpu' });
    const { innerDim, videoLength } = latte.config;
    const weights = new Map<string, Tensor>();
    const layers = [
      ['pos_embed', latte.patchEmbed],
      ['adaln_single', latte.adaLayerNormSingle],
      ['caption_projection', latte.captionProjection!],
    ] as const;
    for (const [prefix, layer] of layers) {
      for (const [name, tensor] of Object.entries(layer.stateDict()))
        weights.set(`${prefix}.${name}`, tensor);
    }
    weights.set('pos_embed.pos_embed', Tensor.zeros([1, 9, innerDim]));
    weights.set('temp_pos_embed', Tensor.zeros([videoLength! - 1, innerDim]));
    weights.set('caption_projection.y_embedding', Tensor.zeros([3, 2]));
    copyFileSync(join(latteFolder, 'config.json'), join(place, 'config.json'));
    await writeSafetensors(join(place, 'x.safetensors'), weights);
    latte.dispose();
    const { unused, problems } = await inspect(place, 1);
    expect(unused.map(({ name, reason }) => [name, reason])).toEqual([
      ['pos_embed.pos_embed', 'it does not fit config.json, so loading refuses it'],
      ['temp_pos_embed', expect.stringContaining('the table is computed')],
      ['caption_projection.y_embedding', 'it replaces dropped captions in training'],
    ]);
    expect(problems).toEqual([expect.stringContaining('pos_embed.pos_embed')]);
    const { status, stdout } = await run(['inspect', place]);
    expect(status).toBe(1);
    expect(stdout).toMatch(/^Stored, but not used$/m);
    expect(stdout).toMatch(/^Cannot be loaded: .*pos_embed\.pos_embed.*\[1, 9, \d+\]/m);
    await rejected(() => LatteEmbeddings.fromPretrained(place), 'ERR_CHECKPOINT', problems[0]!);
  });

  it('names a model that cannot be read', async () => {
    const { status, stderr } = await run(['inspect', join(foundFolder, 'opensora_v1.2')]);
    expect(stderr).toMatch(/"OpenSoraT2V".*known classes are LatteTransformer3DModel/);
    expect(status).toBe(1);
  });

  it('names a tensor that the configuration asks for and the file lacks', async () => {
    const place = folder();
    copyFileSync(join(pixartFolder, 'config.json'), join(place, 'config.json'));
    copyFileSync((await inspect(latteFolder)).path, join(place, 'x.safetensors'));
    const { status, stderr } = await run(['inspect', place]);
    expect(stderr).toMatch(
      /^latte-embeddings: .*resolution_embedder.*is missing.*\[ERR_CHECKPOINT\]\n$/,
    );
    expect(status).toBe(1);
  });
});
