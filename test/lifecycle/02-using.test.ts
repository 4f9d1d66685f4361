import { describe, expect, it } from 'vitest';
import { LatteError, Tensor } from '../../lib/index.js';
import { random, smallAdaLayerNorm, smallCaption, smallPatchEmbed } from '../support/layers.js';

describe('using a layer', () => {
  it('forward gives a promise at once; forwardSync gives the same bits', async () => {
    const layer = smallPatchEmbed();
    const promise = layer.forward(random([2, 4, 8, 8]));
    expect(promise).toBeInstanceOf(Promise);
    const result = await promise;
    expect(result).toBeInstanceOf(Tensor);
    expect(result.data).toEqual(layer.forwardSync(random([2, 4, 8, 8])).data);
  });

  it('results do not share memory, unless they are asked to', async () => {
    const layer = smallCaption();
    const [a, b] = [await layer.forward(random([2, 8])), await layer.forward(random([2, 8]))];
    (a.data as Float32Array).fill(NaN);
    expect((b.data as Float32Array).some(Number.isNaN)).toBe(false);
  });

  it('memory that was used before leaves no trace in a result', () => {
    const layer = smallPatchEmbed();
    const right = Array.from(layer.forwardSync(random([9, 4, 8, 8])).data as Float32Array);
    for (let i = 0; i < 20; i++) {
      const result = layer.forwardSync(random([9, 4, 8, 8]));
      expect(Array.from(result.data as Float32Array)).toEqual(right);
      (result.data as Float32Array).fill(NaN);
      result.dispose();
    }
  });

  it('a result goes straight into the next layer', async () => {
    const layer = smallAdaLayerNorm();
    const { embeddedTimestep } = await layer.forward({ timestep: [999, 1] });
    const half = await embeddedTimestep.to({ dtype: 'float16' });
    expect((await half.to({ dtype: 'float32' })).shape).toEqual([2, 24]);
  });

  it('an error is an Error with a code, a stack of this file and a name', async () => {
    const error = await smallPatchEmbed()
      .forward(random([1, 3, 8, 8]))
      .catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(LatteError);
    expect(error).toBeInstanceOf(Error);
    expect(error).toMatchObject({ name: 'LatteError', code: 'ERR_SHAPE' });
    expect((error as Error).stack).toContain('02-using.test');
  });
});
