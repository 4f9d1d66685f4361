import { describe, expect, it } from 'vitest';
import { CaptionProjection, PatchEmbed, Tensor, TimestepEmbedding } from '../../lib/index.js';
import { refused, rejected } from '../support/errors.js';
import {
  patchEmbedWeights,
  random,
  smallCaption,
  smallPatch,
  smallPatchEmbed,
} from '../support/layers.js';
import { valuesOf } from '../support/tensors.js';

const any = (value: unknown): never => value as never;

describe('weights', () => {
  it('not loaded: ERR_STATE', async () => {
    const layer = new PatchEmbed({ ...smallPatch, device: 'cpu' });
    await rejected(() => layer.forward(random([1, 4, 8, 8])), 'ERR_STATE', 'loadStateDict');
    refused(() => layer.forwardSync(random([1, 4, 8, 8])), 'ERR_STATE', 'loadStateDict');
    const caption = new CaptionProjection({ inFeatures: 8, hiddenSize: 12 });
    await rejected(() => caption.forward(random([1, 8])), 'ERR_STATE', 'loadStateDict');
  });

  it('come from an object or a Map', () => {
    const weights = patchEmbedWeights(smallPatch);
    const layer = new PatchEmbed({ ...smallPatch, device: 'cpu' });
    const wanted = smallPatchEmbed().forwardSync(random([1, 4, 8, 8])).data;
    layer.loadStateDict(new Map(Object.entries(weights)));
    expect(layer.forwardSync(random([1, 4, 8, 8])).data).toEqual(wanted);
  });

  it('with a prefix: whatever lies outside of it is not looked at', () => {
    const weights = Object.entries(patchEmbedWeights(smallPatch)).map(
      ([name, t]) => [`a.b.${name}`, t] as const,
    );
    const layer = new PatchEmbed({ ...smallPatch, device: 'cpu' });
    layer.loadStateDict({ ...Object.fromEntries(weights), other: random([1]) }, { prefix: 'a.b.' });
    expect(layer.forwardSync(random([1, 4, 8, 8])).data).toEqual(
      smallPatchEmbed().forwardSync(random([1, 4, 8, 8])).data,
    );
    refused(
      () => layer.loadStateDict(Object.fromEntries(weights), { prefix: 'a.' }),
      'ERR_STATE',
      /proj\.(weight|bias)/,
    );
  });

  it('are copied: the caller may change or dispose them afterwards', () => {
    const weights = patchEmbedWeights(smallPatch);
    const layer = new PatchEmbed({ ...smallPatch, device: 'cpu' });
    layer.loadStateDict(weights);
    const before = Array.from(layer.forwardSync(random([1, 4, 8, 8])).data as Float32Array);
    for (const tensor of Object.values(weights)) {
      (tensor.data as Float32Array).fill(NaN);
      tensor.dispose();
    }
    expect(Array.from(layer.forwardSync(random([1, 4, 8, 8])).data as Float32Array)).toEqual(
      before,
    );
  });

  it("of another floating dtype are converted; stateDict gives them back in the layer's", async () => {
    const weights = patchEmbedWeights(smallPatch);
    for (const dtype of ['float32', 'float16', 'bfloat16'] as const) {
      const layer = new PatchEmbed({ ...smallPatch, dtype, device: 'cpu' });
      layer.loadStateDict(weights);
      const state = layer.stateDict();
      for (const [name, tensor] of Object.entries(weights)) {
        const rounded = await tensor.to({ dtype });
        const got = state[name]!;
        expect([got.dtype, got.shape]).toEqual([dtype, tensor.shape]);
        expect(valuesOf(got)).toEqual(valuesOf(rounded));
      }
      const again = new PatchEmbed({ ...smallPatch, dtype, device: 'cpu' });
      again.loadStateDict(layer.stateDict());
      expect(again.forwardSync(random([1, 4, 8, 8])).data).toEqual(
        layer.forwardSync(random([1, 4, 8, 8])).data,
      );
    }
  });

  it('of stateDict are copies: changing them changes no layer', () => {
    const layer = smallCaption();
    const before = Array.from(layer.forwardSync(random([2, 8])).data as Float32Array);
    for (const tensor of Object.values(layer.stateDict())) (tensor.data as Float32Array).fill(NaN);
    expect(Array.from(layer.forwardSync(random([2, 8])).data as Float32Array)).toEqual(before);
  });

  it('may be loaded anew', () => {
    const layer = smallPatchEmbed();
    const before = Array.from(layer.forwardSync(random([1, 4, 8, 8])).data as Float32Array);
    layer.loadStateDict({
      'proj.weight': Tensor.zeros([16, 4, 2, 2]),
      'proj.bias': Tensor.zeros([16]),
    });
    expect(Array.from(layer.forwardSync(random([1, 4, 8, 8])).data as Float32Array)).not.toEqual(
      before,
    );
  });

  it('a table that was loaded is gone after a load without one', () => {
    const layer = smallPatchEmbed();
    const weights = patchEmbedWeights(smallPatch);
    const before = Array.from(layer.forwardSync(random([1, 4, 8, 8])).data as Float32Array);
    layer.loadStateDict({ ...weights, pos_embed: random([1, 16, 16]) });
    expect(Array.from(layer.forwardSync(random([1, 4, 8, 8])).data as Float32Array)).not.toEqual(
      before,
    );
    layer.loadStateDict(weights);
    expect(Array.from(layer.forwardSync(random([1, 4, 8, 8])).data as Float32Array)).toEqual(
      before,
    );
  });
});

describe('loadStateDict refuses, and the layer keeps its old weights', () => {
  const weights = patchEmbedWeights(smallPatch);
  const weight = weights['proj.weight']!;
  const bias = weights['proj.bias']!;

  it.each([
    ['a missing tensor', { 'proj.weight': weight }, 'ERR_STATE', ['proj.bias']],
    ['nothing at all', {}, 'ERR_STATE', ['proj.weight']],
    ['an extra one', { ...weights, 'proj.extra': bias }, 'ERR_VALUE', ['proj.extra']],
    [
      'another shape',
      { 'proj.weight': weight, 'proj.bias': Tensor.zeros([15]) },
      'ERR_SHAPE',
      ['proj.bias', '[16]', '[15]'],
    ],
    [
      'another rank',
      { 'proj.weight': Tensor.zeros([16, 16]), 'proj.bias': bias },
      'ERR_SHAPE',
      ['proj.weight', '[16, 4, 2, 2]', '[16, 16]'],
    ],
    [
      'a table of another shape',
      { ...weights, pos_embed: Tensor.zeros([1, 15, 16]) },
      'ERR_SHAPE',
      ['pos_embed', '[1, 16, 16]', '[1, 15, 16]'],
    ],
    [
      'integers',
      { 'proj.weight': weight, 'proj.bias': Tensor.zeros([16], { dtype: 'int32' }) },
      'ERR_DTYPE',
      ['proj.bias', 'int32'],
    ],
    [
      'a typed array',
      { 'proj.weight': weight, 'proj.bias': new Float32Array(16) },
      'ERR_VALUE',
      ['proj.bias'],
    ],
    ['null', { 'proj.weight': weight, 'proj.bias': null }, 'ERR_VALUE', ['proj.bias', 'null']],
    ['no object', null, 'ERR_VALUE', ['null']],
    ['a number', 7, 'ERR_VALUE', ['7']],
  ])('%s', (_, state, code, texts) => {
    const layer = smallPatchEmbed();
    const before = Array.from(layer.forwardSync(random([1, 4, 8, 8])).data as Float32Array);
    refused(() => layer.loadStateDict(any(state)), any(code), ...texts);
    expect(Array.from(layer.forwardSync(random([1, 4, 8, 8])).data as Float32Array)).toEqual(
      before,
    );
  });

  it('half-way: the first tensors are good and new, the last is not', () => {
    const layer = smallCaption();
    const before = Array.from(layer.forwardSync(random([2, 8])).data as Float32Array);
    const state = {
      'linear_1.weight': Tensor.zeros([12, 8]),
      'linear_1.bias': Tensor.zeros([12]),
      'linear_2.weight': Tensor.zeros([12, 12]),
      'linear_2.bias': Tensor.zeros([13]),
    };
    refused(() => layer.loadStateDict(state), 'ERR_SHAPE', 'linear_2.bias', '[12]', '[13]');
    const disposed = Tensor.zeros([12]);
    disposed.dispose();
    refused(
      () => layer.loadStateDict({ ...state, 'linear_2.bias': disposed }),
      'ERR_DISPOSED',
      'linear_2.bias',
    );
    expect(Array.from(layer.forwardSync(random([2, 8])).data as Float32Array)).toEqual(before);
  });

  it('options of another type', () => {
    const layer = smallPatchEmbed();
    for (const prefix of [5, null, {}])
      refused(() => layer.loadStateDict(weights, any({ prefix })), 'ERR_VALUE', 'prefix');
    for (const strict of [5, null, 'no'])
      refused(() => layer.loadStateDict(weights, any({ strict })), 'ERR_VALUE', 'strict');
  });

  it('strict: false leaves out what is extra, and nothing else', () => {
    const layer = smallPatchEmbed();
    layer.loadStateDict({ ...weights, other: bias }, { strict: false });
    expect(layer.forwardSync(random([1, 4, 8, 8])).data).toEqual(
      smallPatchEmbed().forwardSync(random([1, 4, 8, 8])).data,
    );
    const options = { strict: false };
    refused(
      () => layer.loadStateDict({ 'proj.weight': weight }, options),
      'ERR_STATE',
      'proj.bias',
    );
    const misshapen = { ...weights, 'proj.bias': Tensor.zeros([15]) };
    refused(() => layer.loadStateDict(misshapen, options), 'ERR_SHAPE', 'proj.bias');
  });

  it('y_embedding, which some checkpoints contain, is accepted', () => {
    const layer = smallCaption();
    const state = Object.fromEntries([
      ['linear_1.weight', Tensor.zeros([12, 8])],
      ['linear_1.bias', Tensor.zeros([12])],
      ['linear_2.weight', Tensor.zeros([12, 12])],
      ['linear_2.bias', Tensor.zeros([12])],
      ['y_embedding', Tensor.zeros([120, 8])],
    ]);
    layer.loadStateDict(state);
    expect((layer.forwardSync(random([2, 8])).data as Float32Array).every((x) => x === 0)).toBe(
      true,
    );
  });
});

describe('a layer without parameters', () => {
  it('TimestepEmbedding without bias has only two', () => {
    const layer = new TimestepEmbedding({ inChannels: 4, timeEmbedDim: 3, sampleProjBias: false });
    layer.loadStateDict({ 'linear_1.weight': random([3, 4]), 'linear_2.weight': random([3, 3]) });
    refused(
      () =>
        layer.loadStateDict({
          'linear_1.weight': random([3, 4]),
          'linear_2.weight': random([3, 3]),
          'linear_1.bias': random([3]),
        }),
      'ERR_VALUE',
      'linear_1.bias',
    );
  });
});
