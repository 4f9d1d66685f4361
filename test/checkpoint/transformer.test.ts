import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import {
  LatteEmbeddings,
  type LatteErrorCode as ErrorCode,
  loadEmbeddings,
  openCheckpoint,
  Tensor,
  TransformerEmbeddings,
  type TransformerPlan,
  writeSafetensors,
  type TransformerPrepareOptions,
} from '../../lib/index.js';
import { defaultDevice as device, computes } from '../support/devices.js';
import { rejected, refused } from '../support/errors.js';
import { familyFolder } from '../support/golden-family.js';
import { random } from '../support/layers.js';
import { temporaryFolder } from './builders.js';

const folderOf = (name: string): string => join(familyFolder, 'ckpt', name);
const load = (name: string): Promise<TransformerEmbeddings> =>
  TransformerEmbeddings.fromPretrained(folderOf(name), { device });

type Conditions = Omit<TransformerPrepareOptions, 'timesteps'>;
interface PlanCase {
  checkpoint: string;
  conditions: Conditions;
  timesteps?: number[];
  /** The layer, and its inputs at one step. */
  time: string;
  step: (timestep: number[]) => object;
  text?: string;
}

const text = random([2, 3, 10]);
const pooledProjection = random([2, 14]);
const guidance = [3500, 1000];
const image = random([2, 4, 14]);
const sizes = { resolution: new Tensor('float32', [8, 8], [1, 2]), aspectRatio: [1] };

const cases: PlanCase[] = [
  {
    checkpoint: 'sd3_float16',
    conditions: { encoderHiddenStates: text, pooledProjection },
    time: 'timeTextEmbed',
    step: (timestep) => ({ timestep, pooledProjection }),
    text: 'contextEmbedder',
  },
  {
    checkpoint: 'flux_bfloat16',
    conditions: { encoderHiddenStates: text, pooledProjection, guidance },
    time: 'timeTextEmbed',
    step: (timestep) => ({ timestep, pooledProjection, guidance }),
    text: 'contextEmbedder',
  },
  {
    checkpoint: 'hunyuan_video_bfloat16',
    conditions: { pooledProjection, guidance: [6000] },
    time: 'timeTextEmbed',
    step: (timestep) => ({ timestep, pooledProjection, guidance: [6000] }),
  },
  {
    checkpoint: 'sana_bfloat16',
    conditions: { encoderHiddenStates: text, guidance },
    time: 'timeEmbed',
    step: (timestep) => ({ timestep, guidance }),
    text: 'captionProjection',
  },
  ...(['ltx_bfloat16', 'sana_float32'] as const).map((checkpoint) => ({
    checkpoint,
    conditions: { encoderHiddenStates: text },
    time: 'timeEmbed',
    step: (timestep: number[]) => ({ timestep }),
    text: 'captionProjection',
  })),
  {
    checkpoint: 'allegro_float32',
    conditions: { batchSize: 2 },
    time: 'adalnSingle',
    step: (timestep) => ({ timestep }),
  },
  {
    checkpoint: 'qwen_bfloat16',
    conditions: {},
    timesteps: [1, 0.5],
    time: 'timeTextEmbed',
    step: (timestep) => ({ timestep }),
  },
  {
    checkpoint: 'pixart_float16',
    conditions: { encoderHiddenStates: text, ...sizes },
    time: 'adalnSingle',
    step: (timestep) => ({ timestep, ...sizes, batchSize: 2 }),
    text: 'captionProjection',
  },
];

async function near(result: Tensor, expected: Tensor): Promise<void> {
  const [a, b] = await Promise.all([result.to('cpu'), expected.to('cpu')]);
  expect([a.dtype, a.shape]).toEqual([b.dtype, b.shape]);
  const values = b.toFloat32Array();
  const allowed = a.dtype === 'float32' ? 1e-5 : a.dtype === 'float16' ? 4e-3 : 3e-2;
  a.toFloat32Array().forEach((value, i) => {
    expect(Math.abs(value - values[i]!)).toBeLessThanOrEqual(
      allowed * Math.max(1, Math.abs(values[i]!)),
    );
  });
}

async function bitsOf(tensor: Tensor): Promise<Buffer> {
  const host = await tensor.to('cpu');
  const { buffer, byteOffset, byteLength } = host.data as Uint8Array;
  return Buffer.from(buffer, byteOffset, byteLength);
}

const temporary = temporaryFolder();
const folderOfPairs = temporaryFolder();

describe.skipIf(!computes(device, 'float32'))(`plans of the family on ${device}`, () => {
  it.each(cases.map((c) => [c.checkpoint, c] as const))('%s', async (name, c) => {
    using model = await load(name);
    const timesteps = c.timesteps ?? [999, 500, 3];
    using plan = await model.prepare({ timesteps, ...c.conditions });
    const { pooledProjection: pooled, encoderHiddenStates, batchSize } = c.conditions;
    const batch = (pooled ?? encoderHiddenStates)?.shape[0] ?? batchSize ?? 1;
    for (const [i, t] of timesteps.entries()) {
      const input = c.step(new Array<number>(batch).fill(t));
      const result: Tensor | Record<string, Tensor> = await model.layers[c.time]!.forward(input);
      const expected = result instanceof Tensor ? { temb: result } : result;
      const step = plan.step(i);
      expect(Object.keys(step).sort()).toEqual(Object.keys(expected).sort());
      for (const key of Object.keys(expected)) await near(step[key]!, expected[key]!);
    }
    if (c.text === undefined) expect(plan.encoderHiddenStates).toBeNull();
    else await near(plan.encoderHiddenStates!, await model.layers[c.text]!.forward(text));
  });

  it('CogVideoX takes the sinusoids of its timesteps', async () => {
    using model = await load('cogvideox_float32');
    using plan = await model.prepare({ timesteps: [999, 3], batchSize: 2 });
    const { temb } = plan.step(1);
    expect(temb!.shape).toEqual([2, 12]);
    refused(() => plan.step(2), 'ERR_VALUE', 'i must be');
    plan.dispose();
    refused(() => plan.step(0), 'ERR_DISPOSED');
  });

  it('CogVideoX adds the embedding of ofs, as its own forward does', async () => {
    const folder = join(__dirname, 'fixtures', 'siblings', 'cogvideox-ofs');
    const expected = await openCheckpoint(join(folder, 'expected'));
    const given = (name: string): Promise<Tensor> => expected.tensor(name);
    using model = await TransformerEmbeddings.fromPretrained(folder, { device });
    const timesteps = await given('timesteps');
    const temb = (await given('expected.temb')).toFloat32Array();
    for (const ofs of [await given('ofs'), [2, 2]]) {
      using plan = await model.prepare({ timesteps, ofs, batchSize: 2 });
      for (const i of [0, 1]) {
        const step = new Tensor('float32', temb.slice(i * 24, (i + 1) * 24), [2, 12]);
        await near(plan.step(i).temb!, step);
      }
    }
    const tokens = await model.layers.patchEmbed!.forward(
      await given('text'),
      await given('image'),
    );
    const [text, images] = [await given('expected.text'), await given('expected.tokens')];
    const rows = [0, 1].flatMap((b) => [
      ...text.toFloat32Array().slice(b * 64, (b + 1) * 64),
      ...images.toFloat32Array().slice(b * 192, (b + 1) * 192),
    ]);
    await near(tokens as Tensor, new Tensor('float32', rows, [2, 16, 16]));
    await rejected(() => model.prepare({ timesteps }), 'ERR_VALUE', 'ofs is missing');
    await rejected(
      () => model.prepare({ timesteps, ofs: new Tensor('float32', [1, 2, 3], [1, 3]) }),
      'ERR_SHAPE',
      'ofs must have 1 row or 1',
    );
    await expected.close();
  });

  it('embeds a pooled text once for all steps', async () => {
    using model = await load('flux_bfloat16');
    const layer = model.layers.timeTextEmbed!;
    const forward = vi.spyOn(layer, 'forwardSteps');
    const one = random([1, 14]);
    using plan = await model.prepare({
      timesteps: [999, 3],
      pooledProjection: one,
      guidance,
      batchSize: 2,
    });
    expect(forward).toHaveBeenCalledExactlyOnceWith(
      2,
      { timestep: [999, 3], pooledProjection: one, guidance: expect.anything() as unknown },
      {},
    );
    const expected = await layer.forward({ timestep: [3, 3], pooledProjection: one, guidance });
    await near(plan.step(1).temb!, expected as Tensor);
  });

  it('reads the arrays of the caller before it returns', async () => {
    using model = await load('flux_bfloat16');
    const pooled = random([2, 14]);
    const before = await model.layers.timeTextEmbed!.forward({
      timestep: [3, 3],
      pooledProjection: pooled,
      guidance,
    });
    const preparing = model.prepare({ timesteps: [3], pooledProjection: pooled, guidance });
    (pooled.data as Float32Array).fill(0);
    using plan = await preparing;
    await near(plan.step(0).temb!, before as Tensor);
  });

  it.each(['float32', 'float16', 'bfloat16'] as const)(
    'sizes that all rows of a batch share take one row a step, with the same bits in %s',
    async (dtype) => {
      if (!computes(device, dtype)) return;
      const folder = folderOf('pixart_float16');
      using latte = await LatteEmbeddings.fromPretrained(folder, { device, dtype });
      using model = await TransformerEmbeddings.fromPretrained(folder, { device, dtype });
      const timesteps = [999, 500, 3];
      const aspectRatio = [0.5, 0.5];
      const resolution = new Tensor('float32', [8, 16, 8, 16], [2, 2]);
      const other = new Tensor('float32', [8, 16, 8, 12], [2, 2]);
      const ofLatte = vi.spyOn(latte.adaLayerNormSingle, 'forwardSteps');
      const ofModel = vi.spyOn(model.layers.adalnSingle!, 'forwardSteps');
      for (const [sizes, rows] of [
        [resolution, 1],
        [other, 2],
      ] as const) {
        const given = { timesteps, resolution: sizes, aspectRatio };
        using first = await latte.prepare({ ...given, caption: text });
        using second = await model.prepare({ ...given, encoderHiddenStates: text });
        for (const spy of [ofLatte, ofModel]) {
          expect(spy.mock.lastCall![0]).toBe(rows);
        }
        for (const [i, t] of timesteps.entries()) {
          const inputs = { timestep: [t, t], resolution: sizes, aspectRatio, batchSize: 2 };
          const { modulation } = await latte.adaLayerNormSingle.forward(inputs);
          const bits = await bitsOf(modulation);
          expect(await bitsOf(first.step(i).modulation)).toEqual(bits);
          expect(await bitsOf(second.step(i).modulation!)).toEqual(bits);
        }
      }
    },
  );

  it('additionTCond that all rows share takes one row a step', async () => {
    const place = temporary.path;
    cpSync(folderOf('qwen_bfloat16'), place, { recursive: true });
    const config = join(place, 'config.json');
    const fields = JSON.parse(readFileSync(config, 'utf8')) as Record<string, unknown>;
    writeFileSync(config, JSON.stringify({ ...fields, use_additional_t_cond: true }));
    const weights = join(place, 'diffusion_pytorch_model.safetensors');
    const stored = await openCheckpoint(weights);
    const tensors = new Map<string, Tensor>();
    for (const name of stored.names()) tensors.set(name, await stored.tensor(name));
    await stored.close();
    tensors.set('time_text_embed.addition_t_embedding.weight', random([2, 24]));
    await writeSafetensors(weights, tensors);
    using model = await TransformerEmbeddings.fromPretrained(place, { device });
    const forward = vi.spyOn(model.layers.timeTextEmbed!, 'forwardSteps');
    const timesteps = [1, 0.5];
    for (const [additionTCond, rows] of [
      [[1, 1, 1], 1],
      [[1, 0, 1], 3],
    ] as const) {
      using plan = await model.prepare({ timesteps, additionTCond, batchSize: 3 });
      expect(forward.mock.lastCall![0]).toBe(rows);
      for (const [i, t] of timesteps.entries()) {
        const inputs = { timestep: [t, t, t], additionTCond };
        const expected = (await model.layers.timeTextEmbed!.forward(inputs)) as Tensor;
        expect(await bitsOf(plan.step(i).temb!)).toEqual(await bitsOf(expected));
      }
    }
  });

  it('reads a list of timesteps once, by index', async () => {
    using model = await load('sd3_float32');
    const prepare = (timesteps: unknown): Promise<TransformerPlan> =>
      model.prepare({ timesteps: timesteps as number[], pooledProjection });
    let reads = 0;
    const shrinking = new Proxy([3, 5], {
      get: (target, name) =>
        name === 'length' ? (reads++ === 0 ? 2 : 0) : (Reflect.get(target, name) as unknown),
    });
    const iterated = Object.assign([3, 5], { [Symbol.iterator]: () => [7][Symbol.iterator]() });
    for (const timesteps of [shrinking, iterated]) {
      using plan = await prepare(timesteps);
      expect(plan.timesteps).toEqual([3, 5]);
    }
    const disguised = Object.setPrototypeOf(
      new DataView(new ArrayBuffer(8)),
      Float32Array.prototype,
    );
    await rejected(() => prepare(disguised), 'ERR_VALUE', 'timesteps must be an array');
    for (const length of [-1, 0.5, NaN]) {
      const strange = new Proxy([3, 5], {
        get: (target, name) => (name === 'length' ? length : Reflect.get(target, name)) as unknown,
      });
      await rejected(() => prepare(strange), 'ERR_VALUE', 'timesteps must be an array');
    }
    const many = new Int8Array(2 ** 20 + 1);
    await rejected(() => prepare(many), 'ERR_VALUE', 'at the most', '1048577');
  });

  it('takes the length of a size from no subclass of Tensor', async () => {
    class Liar extends Tensor {
      override get byteLength(): number {
        return 2 ** 40;
      }
    }
    using model = await load('pixart_float16');
    const resolution = new Liar('float32', [8, 8, 8, 8], [2, 2]);
    using plan = await model.prepare({
      timesteps: [1],
      resolution,
      aspectRatio: [1],
      batchSize: 2,
    });
    expect(plan.step(0).modulation!.shape[0]).toBe(2);
  });

  it.each(['sd3_float32', 'cogvideox_float32'])('completes after a dispose of %s', async (name) => {
    const model = await load(name);
    const conditions = name.startsWith('sd3') ? { pooledProjection } : {};
    const preparing = model.prepare({ timesteps: [999, 3], ...conditions });
    model.dispose();
    using plan = await preparing;
    expect(plan.step(1).temb!.shape[0]).toBeGreaterThan(0);
  });

  it('has steps that a caller cannot change', async () => {
    using model = await load('sd3_float32');
    using plan = await model.prepare({ timesteps: [1], pooledProjection });
    expect(() => Object.assign(plan.step(0), { temb: null })).toThrow(TypeError);
  });

  it('Wan embeds text and image once', async () => {
    using model = await load('wan_i2v_float16');
    using plan = await model.prepare({
      timesteps: [999, 3],
      encoderHiddenStates: text,
      encoderHiddenStatesImage: image,
    });
    const conditions = { encoderHiddenStates: text, encoderHiddenStatesImage: image };
    const expected: Record<string, Tensor> = await model.layers.conditionEmbedder!.forward({
      timestep: [3, 3],
      ...conditions,
    });
    await near(plan.step(1).temb!, expected.temb!);
    await near(plan.step(1).timestepProj!, expected.timestepProj!);
    await near(plan.encoderHiddenStates!, expected.encoderHiddenStates!);
    await near(plan.encoderHiddenStatesImage!, expected.encoderHiddenStatesImage!);
  });

  const given = { timesteps: [1], encoderHiddenStates: text };
  const sd3 = { ...given, pooledProjection };
  const size = { ...given, aspectRatio: [1] };
  const rows = 'must have 1 row or 2, as many as the batch, but has shape [3, 3, 10]';
  const ints = new Tensor('int32', new Int32Array(60), [2, 3, 10]);
  it.each<[string, object, ErrorCode, string]>([
    [
      'sd3_float32',
      { ...sd3, encoderHiddenStates: random([3, 3, 10]) },
      'ERR_SHAPE',
      `encoderHiddenStates ${rows}`,
    ],
    [
      'flux_bfloat16',
      { ...sd3, guidance, encoderHiddenStates: random([3, 3, 10]) },
      'ERR_SHAPE',
      `encoderHiddenStates ${rows}`,
    ],
    [
      'sana_float32',
      { ...given, batchSize: 2, encoderHiddenStates: random([3, 3, 10]) },
      'ERR_SHAPE',
      `encoderHiddenStates ${rows}`,
    ],
    [
      'wan_i2v_float16',
      { ...given, encoderHiddenStatesImage: random([3, 4, 14]) },
      'ERR_SHAPE',
      'encoderHiddenStatesImage must have a number of rows that divides the batch of 2, but has 3',
    ],
    ...['sd3_float32', 'sana_float32', 'wan_t2v_float32'].flatMap(
      (name): [string, object, ErrorCode, string][] => {
        const others = name.startsWith('sd3') ? sd3 : given;
        return [
          [
            name,
            { ...others, encoderHiddenStates: random([2, 10]) },
            'ERR_SHAPE',
            'encoderHiddenStates must have shape [B, L, 10], but has [2, 10]',
          ],
          [
            name,
            { ...others, encoderHiddenStates: random([2, 3, 9]) },
            'ERR_SHAPE',
            'encoderHiddenStates must have shape [B, L, 10], but has [2, 3, 9]',
          ],
          [
            name,
            { ...others, encoderHiddenStates: ints },
            'ERR_DTYPE',
            'encoderHiddenStates must have a floating dtype, but is int32',
          ],
        ];
      },
    ),
    [
      'sd3_float32',
      { ...sd3, pooledProjection: random([2, 3]) },
      'ERR_SHAPE',
      'pooledProjection must have shape [..., 14], but has [2, 3]',
    ],
    [
      'wan_i2v_float16',
      { ...given, encoderHiddenStatesImage: random([3, 14]) },
      'ERR_SHAPE',
      'encoderHiddenStatesImage must have shape [b, s, 14], but has [3, 14]',
    ],
    [
      'wan_i2v_float16',
      { ...given, encoderHiddenStatesImage: random([2, 4, 9]) },
      'ERR_SHAPE',
      'encoderHiddenStatesImage must have shape [..., 14], but has [2, 4, 9]',
    ],
    ...[[8, 8], Float32Array.of(8, 8), new Tensor('float32', [8, 8])].map(
      (resolution): [string, object, ErrorCode, string] => [
        'pixart_float16',
        { ...size, resolution },
        'ERR_SHAPE',
        'resolution must have shape [b, 2], but has [2]',
      ],
    ),
    [
      'wan_t2v_float32',
      { ...given, pooledProjection },
      'ERR_VALUE',
      'pooledProjection is nothing that this WanTransformer3DModel takes; it takes encoderHiddenStates',
    ],
    ['sd3_float32', {}, 'ERR_VALUE', 'timesteps must be an array of at least one number'],
    [
      'flux_bfloat16',
      { ...sd3, signal: AbortSignal.abort() },
      'ERR_VALUE',
      'options has no "signal"; it belongs to the second argument (known: timesteps',
    ],
    [
      'flux_bfloat16',
      { ...sd3, caption: text },
      'ERR_VALUE',
      'options has no "caption" (known: timesteps, encoderHiddenStates',
    ],
  ])('%s refuses what does not fit, naming it: %#', async (name, options, code, message) => {
    using model = await load(name);
    await rejected(() => model.prepare(options as TransformerPrepareOptions), code, message);
  });

  it('Wan takes two images a row if it has positions for them', async () => {
    const place = folderOfPairs.path;
    cpSync(folderOf('wan_i2v_float16'), place, { recursive: true });
    const config = join(place, 'config.json');
    const fields = JSON.parse(readFileSync(config, 'utf8')) as object;
    writeFileSync(config, JSON.stringify({ ...fields, pos_embed_seq_len: 8 }));
    const weights = join(place, 'diffusion_pytorch_model.safetensors');
    const stored = await openCheckpoint(weights);
    const tensors = new Map<string, Tensor>();
    for (const name of stored.names()) tensors.set(name, await stored.tensor(name));
    await stored.close();
    tensors.set('condition_embedder.image_embedder.pos_embed', random([1, 8, 14]));
    await writeSafetensors(weights, tensors);
    using model = await TransformerEmbeddings.fromPretrained(place, { device });
    const prepare = (images: number): Promise<TransformerPlan> =>
      model.prepare({ ...given, encoderHiddenStatesImage: random([images, 4, 14]) });
    for (const images of [2, 4]) {
      using plan = await prepare(images);
      expect(plan.encoderHiddenStatesImage!.shape[0]).toBe(images / 2);
    }
    await rejected(() => prepare(3), 'ERR_SHAPE', 'must be pairs of images');
    await rejected(
      () => prepare(6),
      'ERR_SHAPE',
      'encoderHiddenStatesImage must have a number of pairs that divides the batch of 2, but has 3',
    );
  });

  it('refuses what is missing, and what the model does not take', async () => {
    using flux = await load('flux_bfloat16');
    const prepare = (options: object): Promise<unknown> =>
      flux.prepare({ timesteps: [1], pooledProjection, guidance, ...options });
    await rejected(() => prepare({ guidance: undefined }), 'ERR_VALUE', 'guidance is missing');
    await rejected(() => prepare({ resolution: [1, 2] }), 'ERR_VALUE', 'resolution');
    await rejected(() => prepare({ caption: text }), 'ERR_VALUE', 'caption');
    await rejected(() => prepare({ timesteps: [] }), 'ERR_VALUE', 'timesteps');
    await rejected(() => prepare({ guidance: [1, 2, 3] }), 'ERR_SHAPE', 'guidance');
    await rejected(() => prepare({ pooledProjection: random([2, 3]) }), 'ERR_SHAPE');
    await rejected(() => prepare({ pooledProjection: 3 }), 'ERR_VALUE', 'pooledProjection');
    const disposed = random([2, 14]);
    disposed.dispose();
    await rejected(() => prepare({ pooledProjection: disposed }), 'ERR_DISPOSED');
    await rejected(
      () =>
        flux.prepare(
          { timesteps: [1], pooledProjection, guidance },
          { signal: AbortSignal.abort() },
        ),
      'ERR_ABORTED',
    );
    flux.dispose();
    await rejected(() => prepare({}), 'ERR_DISPOSED');
  });
});

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
