import { createContext, runInContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import {
  CaptionProjection,
  getTimestepEmbedding,
  memoryUsage,
  PatchEmbed,
  Tensor,
  Timesteps,
} from '../../lib/index.js';
import { refused, rejected } from '../support/errors.js';
import { random } from '../support/layers.js';
import { valuesOf } from '../support/tensors.js';

const any = (value: unknown): never => value as never;

describe('sizes that no memory is enough for', () => {
  it('a shape of very many axes is refused by its length', () => {
    const axes: number[] = [];
    axes.length = 4e9;
    refused(() => Tensor.zeros(axes), 'ERR_SHAPE', '32 axes', '4000000000');
    refused(() => new Tensor('float32', [1], axes), 'ERR_SHAPE', '32 axes');
  });

  it('an empty batch of wide latents needs no position table', async () => {
    const layer = new PatchEmbed({
      height: 1,
      width: 1,
      patchSize: 1,
      inChannels: 1,
      embedDim: 1024,
      device: 'cpu',
    });
    layer.loadStateDict({ 'proj.weight': random([1024, 1, 1, 1]), 'proj.bias': random([1024]) });
    const before = process.memoryUsage().rss;
    for (let i = 0; i < 3; i++) {
      const tokens = await layer.forward(Tensor.zeros([0, 1, 1, 2 ** 18 + i]));
      expect(tokens.shape).toEqual([0, 2 ** 18 + i, 1024]);
    }
    // If it were made, each table would have 512 MiB.
    expect(process.memoryUsage().rss - before).toBeLessThan(2 ** 28);
  });
});

describe('tensors that a forward is writing', () => {
  it('can be read only by later forwards', async () => {
    const layer = new CaptionProjection({ inFeatures: 512, hiddenSize: 512, device: 'cpu' });
    const state = Object.fromEntries(
      ['linear_1', 'linear_2'].flatMap((name) => [
        [`${name}.weight`, random([512, 512])],
        [`${name}.bias`, random([512])],
      ]),
    );
    layer.loadStateDict(state);
    const out = Tensor.zeros([512, 512]);
    const writing = layer.forward(random([512, 512]), undefined, { out });
    const message = 'is being written by another forward';
    refused(() => out.toFloat32Array(), 'ERR_STATE', 'tensor', message);
    refused(() => layer.forwardSync(out), 'ERR_STATE', 'caption', message);
    refused(() => getTimestepEmbedding(out, 8), 'ERR_STATE', 'timesteps', message);
    refused(
      () => layer.loadStateDict({ ...state, 'linear_1.weight': out }),
      'ERR_STATE',
      'linear_1.weight',
      message,
    );
    const reading = layer.forward(out);
    expect(await writing).toBe(out);
    expect(valuesOf(await reading)).toEqual(valuesOf(layer.forwardSync(out)));

    // An array of the caller gets its values when the forward ends, which is too late for later forwards.
    const array = new Tensor('float32', new Float32Array(512 * 512), [512, 512]);
    const twin = await array.to('cpu');
    const filling = layer.forward(random([512, 512]), undefined, { out: array });
    for (const tensor of [array, twin]) {
      await rejected(() => layer.forward(tensor), 'ERR_STATE', 'caption', 'await that first');
      await rejected(() => tensor.to({ dtype: 'float16' }), 'ERR_STATE', 'await that first');
    }
    refused(() => twin.toFloat32Array(), 'ERR_STATE', 'tensor', message);
    await filling;
    expect((await layer.forward(twin)).shape).toEqual([512, 512]);
  });
});

describe('what counts as numbers, tensors and arrays', () => {
  it('integers of any width are timesteps', () => {
    const layer = new Timesteps({
      numChannels: 8,
      flipSinToCos: true,
      downscaleFreqShift: 0,
      device: 'cpu',
    });
    const expected = valuesOf(layer.forwardSync([1, 250]));
    for (const Kind of [Uint8Array, Int16Array, Uint16Array, Int32Array, Uint32Array]) {
      expect(valuesOf(layer.forwardSync(Kind.of(1, 250)))).toEqual(expected);
    }
    expect(valuesOf(layer.forwardSync(BigUint64Array.of(1n, 250n)))).toEqual(expected);
  });

  it('arrays of another realm are arrays', () => {
    const foreign = runInContext('new Float32Array([1, 2])', createContext()) as Float32Array;
    expect(valuesOf(new Tensor('float32', foreign))).toEqual(Float64Array.of(1, 2));
  });

  it('a proxy of a tensor, or an object made after one, is none', async () => {
    const layer = new CaptionProjection({ inFeatures: 4, hiddenSize: 4, device: 'cpu' });
    const tensor = Tensor.zeros([1, 4]);
    for (const value of [new Proxy(tensor, {}), Object.create(Tensor.prototype)]) {
      await rejected(() => layer.forward(any(value)), 'ERR_VALUE', 'caption', 'an object');
    }
  });

  it('names that are not strings are refused in a Map', () => {
    const layer = new CaptionProjection({ inFeatures: 4, hiddenSize: 4, device: 'cpu' });
    const state = new Map(Object.entries({ a: Tensor.zeros([1]) }));
    state.set(any(1), Tensor.zeros([1]));
    refused(() => layer.loadStateDict(state), 'ERR_VALUE', 'names in stateDict', '1');
  });

  it("zeros and to accept 'auto'", async () => {
    const tensor = Tensor.zeros([1], { device: 'auto' });
    expect((await tensor.to('auto')).device).toBe(tensor.device);
  });
});

describe('memory', () => {
  it('is counted, and returned when a tensor is disposed', () => {
    const { live, limit } = memoryUsage();
    const tensor = Tensor.zeros([2 ** 20]);
    expect(memoryUsage().live).toBeGreaterThanOrEqual(live + 2 ** 22);
    expect(limit).toBeGreaterThan(live);
    tensor.dispose();
    expect(memoryUsage().live).toBe(live);
  });
});
