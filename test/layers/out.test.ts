import { describe, expect, it } from 'vitest';
import { CaptionProjection, Tensor } from '../../lib/index.js';
import { mlpParameters } from '../reference/layers.js';
import { refused, rejected, type Fragment } from '../support/errors.js';
import {
  largePatchEmbed,
  owned,
  random,
  randomWeights,
  smallAdaLayerNorm,
  smallCaption,
  smallCombined,
  smallPatchEmbed,
  smallTimestepEmbedding,
} from '../support/layers.js';
import { rawBits } from '../support/tensors.js';

/** A layer whose result has the shape of its input. */
function squareCaption(width: number): CaptionProjection {
  const layer = new CaptionProjection({ inFeatures: width, hiddenSize: width, device: 'cpu' });
  layer.loadStateDict(randomWeights(mlpParameters('', width, width, width)));
  return layer;
}

const any = (value: unknown): never => value as never;
const layer = smallPatchEmbed();
const latent = random([1, 4, 8, 8]);
const wanted = layer.forwardSync(latent);

describe('`out` receives the result', () => {
  it.each([
    ["in the library's memory", () => Tensor.zeros([1, 16, 16])],
    ["in the caller's memory", () => new Tensor('float32', new Float32Array(256), [1, 16, 16])],
    [
      "in the middle of the caller's memory",
      () => new Tensor('float32', new Float32Array(300).subarray(3, 259), [1, 16, 16]),
    ],
  ])('%s', async (_, make) => {
    for (const way of ['forward', 'forwardSync'] as const) {
      const out = make();
      const result = await layer[way](latent, { out });
      expect(result).toBe(out);
      expect(Array.from(out.data as Float32Array)).toEqual(Array.from(wanted.data as Float32Array));
    }
  });

  it('and nothing beside it is written', () => {
    const around = new Float32Array(300).fill(7);
    layer.forwardSync(latent, { out: new Tensor('float32', around.subarray(3, 259), [1, 16, 16]) });
    expect(Array.from(around.subarray(0, 3))).toEqual([7, 7, 7]);
    expect(around.subarray(259).every((x) => x === 7)).toBe(true);
  });

  it('from every layer', async () => {
    const caption = Tensor.zeros([2, 12]);
    expect(await smallCaption().forward(random([2, 8]), undefined, { out: caption })).toBe(caption);
    const sample = Tensor.zeros([2, 12]);
    expect(await smallTimestepEmbedding().forward(random([2, 8]), undefined, { out: sample })).toBe(
      sample,
    );
    const combined = Tensor.zeros([2, 24]);
    expect(await smallCombined(false).forward({ timestep: [1, 2] }, { out: combined })).toBe(
      combined,
    );
    for (const out of [caption, sample, combined]) {
      expect((out.data as Float32Array).some((x) => x !== 0)).toBe(true);
    }
  });

  it('once after another', async () => {
    const out = Tensor.zeros([1, 16, 16]);
    for (let i = 0; i < 3; i++) await layer.forward(latent, { out });
    expect(out.data).toEqual(wanted.data);
  });

  it('may be undefined, and so may the options', async () => {
    expect((await layer.forward(latent, { out: undefined, signal: undefined })).data).toEqual(
      wanted.data,
    );
    expect((await layer.forward(latent, undefined)).data).toEqual(wanted.data);
    expect(layer.forwardSync(latent, {}).data).toEqual(wanted.data);
  });
});

async function bothRefuse(out: unknown, code: never, ...texts: Fragment[]): Promise<void> {
  refused(() => layer.forwardSync(latent, any({ out })), code, ...texts);
  await rejected(() => layer.forward(latent, any({ out })), code, ...texts);
}

describe('`out` is refused', () => {
  it.each([
    [
      'of another length',
      () => Tensor.zeros([1, 16, 15]),
      'ERR_SHAPE',
      ['out', '[1, 16, 16]', '[1, 16, 15]'],
    ],
    ['of another rank', () => Tensor.zeros([256]), 'ERR_SHAPE', ['out', '[1, 16, 16]', '[256]']],
    [
      'with its axes in another order',
      () => Tensor.zeros([16, 1, 16]),
      'ERR_SHAPE',
      ['out', '[16, 1, 16]'],
    ],
    [
      'in another dtype',
      () => Tensor.zeros([1, 16, 16], { dtype: 'float16' }),
      'ERR_DTYPE',
      ['out', 'float32', 'float16'],
    ],
    [
      'in a dtype of the same width',
      () => Tensor.zeros([1, 16, 16], { dtype: 'int32' }),
      'ERR_DTYPE',
      ['out', 'float32', 'int32'],
    ],
    ['being a typed array', () => new Float32Array(256), 'ERR_VALUE', ['out']],
    ['being null', () => null, 'ERR_VALUE', ['out', 'null']],
    ['being a list', () => [1], 'ERR_VALUE', ['out']],
  ])('%s', async (_, make, code, texts) => {
    await bothRefuse(make(), any(code), ...texts);
  });

  it('disposed', async () => {
    const out = Tensor.zeros([1, 16, 16]);
    out.dispose();
    await bothRefuse(out, any('ERR_DISPOSED'), 'out');
  });

  it('overlapping the input', async () => {
    const buffer = new Float32Array(600);
    const input = new Tensor('float32', buffer.subarray(0, 256), [1, 4, 8, 8]);
    for (const from of [0, 1, 255]) {
      const out = new Tensor('float32', buffer.subarray(from, from + 256), [1, 16, 16]);
      refused(() => layer.forwardSync(input, { out }), 'ERR_VALUE', 'out', 'overlap');
      await rejected(() => layer.forward(input, { out }), 'ERR_VALUE', 'out', 'overlap');
    }
    const behind = new Tensor('float32', buffer.subarray(256, 512), [1, 16, 16]);
    expect(layer.forwardSync(input, { out: behind })).toBe(behind);
  });

  it('being the input itself, or another tensor over its memory', async () => {
    const square = squareCaption(8);
    for (const input of [random([3, 8]), owned([3, 8])]) {
      const aliases = [input, await input.to('cpu'), new Tensor('float32', input.data, [3, 8])];
      for (const out of aliases) {
        refused(() => square.forwardSync(input, undefined, { out }), 'ERR_VALUE', 'out', 'overlap');
        await rejected(
          () => square.forward(input, undefined, { out }),
          'ERR_VALUE',
          'out',
          'overlap',
        );
      }
    }
  });

  it('in two forwards at once: the second', async () => {
    const large = largePatchEmbed();
    for (const make of [
      () => Tensor.zeros(large.tokens),
      () => new Tensor('float32', new Float32Array(32 * 1024 * 1152), large.tokens),
    ]) {
      const out = make();
      const first = large.layer.forward(large.latent(), { out });
      await rejected(() => large.layer.forward(large.latent(), { out }), 'ERR_STATE', 'out');
      refused(() => large.layer.forwardSync(large.latent(), { out }), 'ERR_STATE', 'out');
      expect(await first).toBe(out);
      expect(await large.layer.forward(large.latent(), { out })).toBe(out);
      out.dispose();
    }
    large.layer.dispose();
  });

  it('by forwardSync while another forward reads it', async () => {
    const square = squareCaption(64);
    const input = owned([20_000, 64]);
    const wanted = square.forwardSync(input);
    const reading = square.forward(input);
    refused(
      () => square.forwardSync(random([20_000, 64]), undefined, { out: input }),
      'ERR_STATE',
      'out',
    );
    expect(Buffer.compare(rawBits(await reading), rawBits(wanted))).toBe(0);
  });

  it('but not by forward, because forwards run in the order of their calls', async () => {
    const square = squareCaption(64);
    const input = owned([20_000, 64]);
    const wanted = square.forwardSync(input);
    const reading = square.forward(input);
    const writing = square.forward(random([20_000, 64]), undefined, { out: input });
    expect(Buffer.compare(rawBits(await reading), rawBits(wanted))).toBe(0);
    expect(await writing).toBe(input);
  });
});

describe('AdaLayerNormSingle has two results', () => {
  it('and takes a tensor for each', async () => {
    const ada = smallAdaLayerNorm();
    const right = ada.forwardSync({ timestep: [1, 2] });
    const out = { modulation: Tensor.zeros([2, 144]), embeddedTimestep: Tensor.zeros([2, 24]) };
    const result = await ada.forward({ timestep: [1, 2] }, { out });
    expect(result.modulation).toBe(out.modulation);
    expect(result.embeddedTimestep).toBe(out.embeddedTimestep);
    expect(out.modulation.data).toEqual(right.modulation.data);
    expect(out.embeddedTimestep.data).toEqual(right.embeddedTimestep.data);
  });

  it('which may not be one and the same', async () => {
    const ada = smallAdaLayerNorm();
    const one = Tensor.zeros([2, 144]);
    await rejected(
      () => ada.forward({ timestep: [1, 2] }, { out: { modulation: one, embeddedTimestep: one } }),
      'ERR_SHAPE',
      'out',
    );
  });
});
