import { describe, expect, it } from 'vitest';
import * as latte from '../../lib/index.js';
import { PatchEmbed, Tensor } from '../../lib/index.js';
import { refused, rejected } from '../support/errors.js';
import { Mine, bomb, survives, unprintable } from '../support/hostile.js';
import { random, smallCombined, smallPatch, smallPatchEmbed } from '../support/layers.js';

// Values that run code of their own, or are not what they seem. The library may refuse them or throw the
// error that they throw. It must not crash the process, or read or write other memory.

const any = (value: unknown): never => value as never;

describe('arguments that throw when they are read', () => {
  it('as options, dtypes, shapes, data', () => {
    for (const value of [bomb, unprintable, Object.create(null), Symbol('s'), () => 1]) {
      survives(() => new PatchEmbed(any(value)));
      survives(() => new Tensor(any(value), [1]));
      survives(() => new Tensor('float32', any(value)));
      survives(() => new Tensor('float32', [1], any(value)));
      survives(() => new Tensor('float32', [any(value)]));
      survives(() => new Tensor('float32', [1], [any(value)]));
      survives(() => Tensor.zeros(any(value)));
      survives(() => Tensor.zeros([1], any(value)));
      survives(() => latte.get2dSincosPosEmbed(4, any(value)));
      survives(() => latte.getTimestepEmbedding(any(value), 4));
      for (const option of Object.keys(smallPatch))
        survives(() => new PatchEmbed({ ...smallPatch, [option]: value }));
    }
  });

  it('as an option: the message shows it without calling it', () => {
    refused(
      () => new PatchEmbed({ ...smallPatch, height: any(unprintable) }),
      'ERR_VALUE',
      'height',
      'an object',
    );
    refused(
      () => new PatchEmbed({ ...smallPatch, height: any(Symbol('s')) }),
      'ERR_VALUE',
      'height',
      'a symbol',
    );
    refused(
      () => new PatchEmbed({ ...smallPatch, height: any(() => 8) }),
      'ERR_VALUE',
      'height',
      'a function',
    );
  });

  it('as inputs', async () => {
    const layer = smallPatchEmbed();
    for (const value of [bomb, unprintable, Object.create(null), Symbol('s'), () => 1]) {
      survives(() => layer.forwardSync(any(value)));
      survives(() => layer.forwardSync(random([1, 4, 8, 8]), any(value)));
      survives(() => layer.forwardSync(random([1, 4, 8, 8]), { out: any(value) }));
      survives(() => layer.loadStateDict(any(value)));
      survives(() => layer.loadStateDict({ 'proj.weight': any(value) }));
      await layer.forward(any(value)).catch(() => undefined);
      await smallCombined()
        .forward(any(value))
        .catch(() => undefined);
      await smallCombined()
        .forward({ timestep: any(value) })
        .catch(() => undefined);
    }
  });

  it("a getter's own error comes through", () => {
    const options = {
      ...smallPatch,
      get height(): number {
        throw new Mine('height');
      },
    };
    expect(() => new PatchEmbed(options)).toThrow(Mine);
  });

  it('a getter that returns another value each time cannot get past the checks', () => {
    let calls = 0;
    const options = {
      ...smallPatch,
      get embedDim() {
        return calls++ === 0 ? 16 : 2 ** 30;
      },
    };
    const layer = new PatchEmbed(options);
    expect(layer.stateDict !== undefined).toBe(true);
    survives(() => layer.forwardSync(random([1, 4, 8, 8])));
    layer.dispose();
  });

  it('a shape that changes while it is read cannot get past the checks', () => {
    let reads = 0;
    const shape = new Proxy([4], {
      get: (target, key, receiver) =>
        key === '0' && reads++ > 0 ? 2 ** 30 : (Reflect.get(target, key, receiver) as unknown),
    });
    survives(() => {
      const tensor = new Tensor('float32', new Float32Array(4), shape);
      expect(tensor.size).toBe(4);
    });
  });

  it('an array of numbers that shrinks while it is read', () => {
    const values = [1, 2, 3, 4];
    Object.defineProperty(values, 1, {
      get() {
        values.length = 2;
        return 7;
      },
    });
    survives(() => new Tensor('float32', values));
  });

  it('a getter that detaches an earlier argument', () => {
    const array = new Float32Array(256);
    const latent = new Tensor('float32', array, [1, 4, 8, 8]);
    survives(() =>
      smallPatchEmbed().forwardSync(latent, {
        get out() {
          structuredClone(array.buffer, { transfer: [array.buffer] });
          return undefined;
        },
      }),
    );
  });

  it('a state dict whose getter disposes the layer or loads another', () => {
    const layer = smallPatchEmbed();
    survives(() =>
      layer.loadStateDict({
        get 'proj.weight'() {
          layer.dispose();
          return Tensor.zeros([16, 4, 2, 2]);
        },
        'proj.bias': Tensor.zeros([16]),
      }),
    );
    refused(() => layer.forwardSync(random([1, 4, 8, 8])), 'ERR_DISPOSED');
  });
});

describe('objects that only look like tensors', () => {
  it('a proxy of a tensor', async () => {
    const proxy = new Proxy(random([1, 4, 8, 8]), {});
    survives(() => smallPatchEmbed().forwardSync(proxy));
    survives(() => smallPatchEmbed().forwardSync(random([1, 4, 8, 8]), { out: proxy }));
    await expect(smallPatchEmbed().forward(proxy)).rejects.toThrow();
  });

  it('an object with the prototype of a tensor', async () => {
    const empty = Object.create(Tensor.prototype) as Tensor;
    survives(() => smallPatchEmbed().forwardSync(empty));
    await expect(smallPatchEmbed().forward(empty)).rejects.toThrow();
    for (const name of [
      'dtype',
      'shape',
      'size',
      'byteLength',
      'device',
      'data',
      'disposed',
    ] as const) {
      expect(() => empty[name], name).toThrow(TypeError);
    }
  });

  it("the tensor's methods on other objects", async () => {
    for (const foreign of [{}, null, 5, new PatchEmbed(smallPatch), Tensor]) {
      expect(() => Tensor.prototype.dispose.call(any(foreign))).toThrow(TypeError);
      expect(() => Tensor.prototype.toFloat32Array.call(any(foreign))).toThrow(TypeError);
      await expect(async () => Tensor.prototype.to.call(any(foreign), 'cpu')).rejects.toThrow();
    }
  });

  it("a layer's methods on other objects, and on another layer", async () => {
    for (const foreign of [{}, null, 5, random([1])]) {
      await expect(async () =>
        PatchEmbed.prototype.forward.call(any(foreign), random([1, 4, 8, 8])),
      ).rejects.toThrow();
      expect(() =>
        PatchEmbed.prototype.forwardSync.call(any(foreign), random([1, 4, 8, 8])),
      ).toThrow();
      expect(() => PatchEmbed.prototype.dispose.call(any(foreign))).toThrow();
    }
    survives(() =>
      PatchEmbed.prototype.forwardSync.call(any(smallCombined()), random([1, 4, 8, 8])),
    );
  });

  it('a subclass is a tensor', () => {
    class Latent extends Tensor {
      constructor() {
        super('float32', random([1, 4, 8, 8]).data, [1, 4, 8, 8]);
      }
    }
    expect(smallPatchEmbed().forwardSync(new Latent()).data).toEqual(
      smallPatchEmbed().forwardSync(random([1, 4, 8, 8])).data,
    );
  });

  it('a subclass that lies about its shape and dtype', () => {
    class Liar extends Tensor {
      override get shape() {
        return [1000, 4, 8, 8];
      }
      override get size() {
        return 256_000;
      }
    }
    const liar = new Liar('float32', new Float32Array(256), [1, 4, 8, 8]);
    survives(() => expect(smallPatchEmbed().forwardSync(liar).shape).toEqual([1, 16, 16]));
  });

  it('a tensor whose methods were replaced', () => {
    const tensor = random([1, 4, 8, 8]);
    Object.defineProperty(tensor, 'shape', { value: [9, 9] });
    survives(() => smallPatchEmbed().forwardSync(tensor));
  });
});

describe('an array whose length changes at each read', () => {
  it('is read once', () => {
    const counting = (...lengths: number[]): number[] =>
      new Proxy<number[]>([], {
        get: (_, name) => (name === 'length' ? (lengths.shift() ?? 2 ** 33) : 3),
      });
    expect(Tensor.zeros(counting(2)).shape).toEqual([3, 3]);
    expect(new Tensor('float32', counting(2)).shape).toEqual([2]);
  });
});

describe('an array with methods of its own', () => {
  it('is read element by element', () => {
    const gridSize = Object.assign([2, 3], { map: () => ['a', null] }) as unknown as [
      number,
      number,
    ];
    expect(latte.get2dSincosPosEmbed(8, gridSize).shape).toEqual([6, 8]);
  });
});

describe('a very long or deep argument', () => {
  it('makes a short message', async () => {
    const error = refused(
      () => new PatchEmbed({ ...smallPatch, device: 'x'.repeat(1_000_000) }),
      'ERR_VALUE',
      'device',
    );
    expect(error.message.length).toBeLessThan(1000);
    const shape = refused(
      () => new Tensor('float32', [1], new Array<number>(100_000).fill(-1)),
      'ERR_SHAPE',
      'shape',
    );
    expect(shape.message.length).toBeLessThan(1000);
    const name = 'n'.repeat(1_000_000);
    const extra = refused(
      () => smallPatchEmbed().loadStateDict(Object.fromEntries([[name, random([1])]])),
      'ERR_STATE',
    );
    expect(extra.message.length).toBeLessThan(2000);
    await rejected(() => random([1]).to('d'.repeat(100_000)), 'ERR_VALUE', 'device');
  });
});
