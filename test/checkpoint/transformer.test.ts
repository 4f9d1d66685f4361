import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import {
  LatteEmbeddings,
  openCheckpoint,
  Tensor,
  TransformerEmbeddings,
  type TransformerPlan,
  writeSafetensors,
  type TransformerPrepareOptions,
} from '../../lib/index.js';
import { defaultDevice as device, computes } from '../support/devices.js';
import { rejected, refused } from '../support/errors.js';
import { random } from '../support/layers.js';
import { temporaryFolder } from './builders.js';
import { folderOf, guidance, image, load, pooledProjection, text } from './family-models.js';

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
});
