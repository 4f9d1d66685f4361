import { cpSync, mkdirSync, readdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  get1dSincosPosEmbed,
  LatteEmbeddings,
  memoryUsage,
  openCheckpoint,
  Tensor,
} from '../../lib/index.js';
import { rejected } from '../support/errors.js';
import { valuesOf } from '../support/tensors.js';
import { temporaryFolder } from './builders.js';

const fixtures = join(__dirname, 'fixtures');
const root = temporaryFolder();

/** The tolerances of half types: one rounding of the result, and those between the layers. */
const tolerance = { float32: 2e-5, float16: 4e-3, bfloat16: 3e-2 } as const;

async function namesOf(file: string): Promise<string[]> {
  const checkpoint = await openCheckpoint(file);
  const names = checkpoint.names();
  await checkpoint.close();
  return names;
}

async function tensorsOf(file: string): Promise<Map<string, Tensor>> {
  const checkpoint = await openCheckpoint(file);
  const tensors = new Map<string, Tensor>();
  for (const name of checkpoint.names()) tensors.set(name, await checkpoint.tensor(name));
  await checkpoint.close();
  return tensors;
}

function expectClose(
  name: string,
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  most: number,
): void {
  expect([name, actual.length]).toEqual([name, expected.length]);
  let worst = 0;
  for (let i = 0; i < expected.length; i++) {
    const difference = Math.abs(actual[i]! - expected[i]!) / (1 + Math.abs(expected[i]!));
    if (!(difference <= worst)) worst = difference;
  }
  expect([name, worst <= most, worst]).toEqual([name, true, worst]);
}

describe('a checkpoint that the real classes saved', () => {
  const folders = readdirSync(join(fixtures, 'models')).filter((name) => !name.includes('.'));

  it.each(folders)('%s gives what they compute', async (name) => {
    const folder = join(fixtures, 'models', name);
    const variant = readdirSync(folder).some((file) => file.includes('fp16')) ? 'fp16' : undefined;
    const latte = await LatteEmbeddings.fromPretrained(folder, { variant, device: 'cpu' });
    const expected = await tensorsOf(join(folder, 'expected', 'expected.safetensors'));
    const want = (of: string): ArrayLike<number> => valuesOf(expected.get(`expected.${of}`)!);
    const plan = await latte.prepare({
      timesteps: expected.get('timestep')!,
      caption: expected.get('caption')!,
      resolution: expected.get('resolution'),
      aspectRatio: expected.get('aspect_ratio'),
    });
    const most = tolerance[latte.patchEmbed.dtype];
    const rows = (of: 'modulation' | 'embeddedTimestep'): number[] =>
      plan.timesteps.flatMap((_, i) => [...valuesOf(plan.step(i)[of])]);
    const patches = await latte.embedLatent(expected.get('latent')!);
    expectClose('patches', valuesOf(patches), want('pos_embed'), most);
    expectClose('caption', valuesOf(plan.encoderHiddenStates), want('caption_projection'), most);
    expectClose('modulation', rows('modulation'), want('adaln_single'), most);
    expectClose('timestep', rows('embeddedTimestep'), want('embedded_timestep'), most);
    if (expected.has('expected.temp_pos_embed')) {
      expectClose('time', valuesOf(latte.tempPosEmbed()), want('temp_pos_embed'), most);
    } else {
      expect(() => latte.tempPosEmbed()).toThrow(expect.objectContaining({ code: 'ERR_STATE' }));
    }
    expect(plan.encoderHiddenStates.dtype).toBe(latte.patchEmbed.dtype);
    expect(latte.captionProjection === null).toBe(latte.config.captionChannels === null);
    plan.dispose();
    latte.dispose();
  });
});

describe('a model without a projection of captions', () => {
  it('keeps nothing of a caption that cannot be copied', async () => {
    const latte = await LatteEmbeddings.fromPretrained(
      join(fixtures, 'models', 'pixart-without-projection'),
      { device: 'cpu' },
    );
    const values = new Float32Array(4096);
    const caption = new Tensor('float32', values, [1, 64, 64]);
    structuredClone(values, { transfer: [values.buffer] });
    const { live } = memoryUsage();
    await rejected(
      () => latte.prepare({ timesteps: [1], caption }),
      'ERR_STATE',
      'detached or shrunk',
    );
    expect(memoryUsage().live).toBeLessThanOrEqual(live);
    latte.dispose();
  });

  it('copies no caption that a forward is writing', async () => {
    const latte = await LatteEmbeddings.fromPretrained(
      join(fixtures, 'models', 'pixart-without-projection'),
      { device: 'cpu', dtype: 'float32' },
    );
    const [height, width] = latte.config.sampleSize;
    const latent = Tensor.zeros([1, latte.config.inChannels, height, width]);
    const { shape } = await latte.embedLatent(latent);
    const caption = Tensor.zeros(shape);
    const writing = latte.embedLatent(latent, { out: caption });
    await rejected(() => latte.prepare({ timesteps: [1], caption }), 'ERR_STATE', 'being written');
    await writing;
    expect((await latte.prepare({ timesteps: [1], caption })).encoderHiddenStates.shape).toEqual(
      shape,
    );
    latte.dispose();
  });
});

describe('a published model in small', () => {
  const found = join(fixtures, 'found');

  it.each([
    ['opensora_v1.0_65x512', 3],
    ['opensora_v1.1_scale_half', 1],
    ['latte_t2v_vchitect_32', 1],
  ])('%s has the scale %d in time', async (name, scale) => {
    const latte = await LatteEmbeddings.fromPretrained(join(found, name), { device: 'cpu' });
    const { innerDim, videoLength } = latte.config;
    const table = get1dSincosPosEmbed(innerDim, videoLength!, { interpolationScale: scale });
    expect(valuesOf(latte.tempPosEmbed())).toEqual(valuesOf(table));
    latte.dispose();
  });

  it.each([
    ['net_rank2', 'temp_pos_embed', 5],
    ['net_rank2_padded', 'temp_pos_embed', 8],
    ['trainer_rank2', 'network.temp_pos_embed', 5],
  ])('%s has the table that is stored', async (name, tensor, leastRows) => {
    const folder = join(found, name);
    const latte = await LatteEmbeddings.fromPretrained(folder, { device: 'cpu' });
    const checkpoint = await openCheckpoint(folder);
    const stored = await checkpoint.tensor(tensor);
    await checkpoint.close();
    expect(stored.shape.length).toBe(2);
    expect(stored.shape[0]).toBeGreaterThanOrEqual(Math.min(leastRows, 6));
    const table = valuesOf(latte.tempPosEmbed());
    expect([...table]).toEqual([...valuesOf(stored)].slice(0, table.length));
    expect(table.length).toBe(latte.config.videoLength! * latte.config.innerDim);
    latte.dispose();
  });

  it('of another class is refused by name', async () => {
    await rejected(
      () => LatteEmbeddings.fromPretrained(join(found, 'opensora_v1.2')),
      'ERR_CHECKPOINT',
      '"OpenSoraT2V"',
    );
  });
});

describe('variants', () => {
  const source = join(fixtures, 'models', 'latte-fp16-sharded');
  const indexName = 'diffusion_pytorch_model.safetensors.index.fp16.json';

  function copy(name: string): string {
    const folder = join(root.path, name);
    mkdirSync(folder);
    cpSync(source, folder, { recursive: true });
    return folder;
  }

  async function fileOf(folder: string, variant?: string): Promise<string> {
    const latte = await LatteEmbeddings.fromPretrained(folder, { variant, device: 'cpu' });
    const { dtype } = latte.patchEmbed;
    latte.dispose();
    return dtype;
  }

  it('are there in both spellings of the index, and can be named', async () => {
    const folder = copy('other-spelling');
    const other = join(folder, 'diffusion_pytorch_model.fp16.safetensors.index.json');
    const names = await namesOf(join(folder, indexName));
    renameSync(join(folder, indexName), other);
    expect(await namesOf(other)).toEqual(names);
    expect(await fileOf(folder, 'fp16')).toBe('float16');
  });

  it('may lie beside the full files, which are taken without a variant', async () => {
    const folder = copy('side-by-side');
    cpSync(
      join(fixtures, 'models', 'latte-odd', 'diffusion_pytorch_model.safetensors'),
      join(folder, 'diffusion_pytorch_model.safetensors'),
    );
    expect(await fileOf(folder, 'fp16')).toBe('float16');
    const full = await openCheckpoint(folder);
    await full.close();
    expect(full.path).toMatch(/model\.safetensors$/);
  });

  it('are named in the error if there are several, or not the one that is wanted', async () => {
    const folder = copy('several');
    cpSync(join(folder, indexName), join(folder, indexName.replace('fp16', 'bf16')));
    await rejected(() => fileOf(folder), 'ERR_CHECKPOINT', "pass variant: 'bf16' or 'fp16'");
    await rejected(() => fileOf(folder, 'fp8'), 'ERR_CHECKPOINT', '"fp8"', "'bf16' or 'fp16'");
    await rejected(() => fileOf(folder, '../x'), 'ERR_VALUE', 'variant');
    await rejected(
      () => LatteEmbeddings.fromPretrained(folder, { torch_dtype: 1 } as object),
      'ERR_VALUE',
      'torch_dtype',
    );
  });
});

describe('a signal', () => {
  const folder = join(fixtures, 'models', 'latte-odd');

  it('ends the loading, before and while tensors are read', async () => {
    const signal = AbortSignal.abort();
    const early = () => LatteEmbeddings.fromPretrained(folder, { signal });
    await rejected(early, 'ERR_ABORTED', 'the loading was aborted');
    const controller = new AbortController();
    const names: string[] = [];
    const late = (): Promise<unknown> =>
      LatteEmbeddings.fromPretrained(folder, {
        device: 'cpu',
        signal: controller.signal,
        onProgress: ({ name }) => {
          if (name !== undefined) names.push(name);
          controller.abort();
        },
      });
    await rejected(late, 'ERR_ABORTED');
    expect(names).toEqual([]);
  });

  it('ends prepare', async () => {
    const latte = await LatteEmbeddings.fromPretrained(folder, { device: 'cpu' });
    const caption = Tensor.zeros([1, 2, latte.config.captionChannels!]);
    const prepare = (settings: object): Promise<unknown> =>
      latte.prepare({ timesteps: [1], caption }, settings);
    await rejected(() => prepare({ signal: AbortSignal.abort() }), 'ERR_ABORTED');
    await rejected(() => prepare({ sginal: 1 }), 'ERR_VALUE', 'sginal');
    latte.dispose();
  });
});
