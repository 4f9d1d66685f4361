import { describe, expect, it } from 'vitest';
import { native } from '../../lib/native.js';
import { bomb, survives } from '../support/hostile.js';

const any = (value: unknown): never => value as never;

describe('the addon itself, reached past the facade', () => {
  const { Tensor: NativeTensor, Layer: NativeLayer } = native;
  type Constructor = new (...args: unknown[]) => unknown;

  it('refuses to be called without new, or with anything', () => {
    for (const constructor of [NativeTensor, NativeLayer] as unknown as (Constructor &
      (() => void))[]) {
      survives(() => constructor());
      expect(() => constructor()).toThrow();
      for (const args of [
        [],
        [1],
        [null, null, null],
        ['float32', [1e300], {}],
        ['float32', 'x', 'y'],
        ['PatchEmbed'],
        [bomb, bomb, bomb, bomb],
      ]) {
        expect(() => new constructor(...args)).toThrow();
        expect(() => Reflect.construct(constructor, args, Object)).toThrow();
      }
    }
  });

  it('reads no further than the data goes, whatever the shape', () => {
    for (const shape of [
      [3],
      [2, 2],
      [-1],
      [2 ** 40],
      [1.5],
      [NaN],
      ['1'],
      new Array(100).fill(1),
    ]) {
      survives(() => {
        const tensor = new NativeTensor('float32', any(shape), new Float32Array(2));
        const converted = native.convertSync(tensor, 'float64', 'cpu');
        expect(converted.arrayBuffer().byteLength).toBeLessThanOrEqual(16);
      });
    }
  });

  it('refuses methods on other objects', () => {
    const tensor = new NativeTensor('float32', [1], new Float32Array(1));
    const prototype = Object.getPrototypeOf(tensor) as Record<string, () => unknown>;
    const layer = new NativeLayer(
      'Timesteps',
      {
        numChannels: 8,
        flipSinToCos: true,
        downscaleFreqShift: 0,
        scale: 1,
        maxPeriod: 10000,
      },
      'cpu',
      'float32',
    );
    const other = Object.getPrototypeOf(layer) as Record<string, () => unknown>;
    for (const name of ['arrayBuffer', 'alias', 'dispose']) {
      for (const foreign of [{}, null, layer, NativeTensor])
        expect(() => prototype[name]!.call(foreign)).toThrow();
    }
    for (const name of ['parameters', 'load', 'state', 'forward', 'forwardSync', 'dispose']) {
      for (const foreign of [{}, null, tensor, NativeLayer])
        expect(() => other[name]!.call(foreign)).toThrow();
    }
  });

  it('refuses arguments of every kind', async () => {
    const layer = new NativeLayer(
      'PatchEmbed',
      {
        height: 8,
        width: 8,
        patchSize: 2,
        inChannels: 4,
        embedDim: 16,
        layerNorm: false,
        flatten: true,
        bias: true,
        interpolationScale: 1,
      },
      'cpu',
      'float32',
    );
    const strange = [undefined, null, 5, 'x', {}, [], [null], [{}], bomb, Symbol('s'), () => 1, 2n];
    for (const a of strange) {
      for (const b of strange) {
        survives(() => layer.load(any(a), any(b)));
        survives(() => layer.forwardSync(any(a), any(b), any(a)));
        survives(() => void layer.forward(any(a), any(b), any(b)).promise.catch(() => undefined));
        survives(() => native.zeros(any(a), any(b), any(a)));
        survives(() => native.convertSync(any(a), any(b), any(a)));
        survives(() => native.sincosPosEmbedFromGrid(any(a), any(b), any(a)));
        survives(() => native.sincosPosEmbed1d(any(a), any(b), any(a), any(b)));
        survives(() =>
          native.sincosPosEmbed2d(any(a), any(b), any(a), any(b), any(a), any(b), any(a)),
        );
        survives(() => native.sincosPosEmbed2dFromGrid(any(a), any(b), any(a)));
      }
    }
    await new Promise(setImmediate);
  });

  it('writes and reads nothing out of bounds, whatever the sizes', () => {
    const borrowed = new NativeTensor('float32', [2], new Float32Array(2));
    expect(() => borrowed.alias()).toThrow(TypeError);
    expect(() => borrowed.arrayBuffer()).toThrow(TypeError);
    const owned = native.zeros('float32', [2], 'cpu');
    owned.arrayBuffer();
    expect(() => owned.arrayBuffer()).toThrow(TypeError);
    expect(() => native.sincosPosEmbed1d(4096, 64, 1, 'float16')).toThrow('float32 or float64');
    expect(() => native.sincosPosEmbed1d(5, 4, 1, 'float32')).toThrow('multiple of 2');
    expect(() => native.sincosPosEmbed2d(4096, 8, 8, -20, 1, 1, 'float32')).toThrow('out of range');
    const options = { height: 8, width: 8, patchSize: 0, inChannels: 4, embedDim: 8 };
    const flags = { layerNorm: false, flatten: true, bias: true, interpolationScale: 1 };
    expect(() => new NativeLayer('PatchEmbed', { ...options, ...flags }, 'cpu', 'float32')).toThrow(
      'patchSize is out of range',
    );
    expect(
      () =>
        new NativeLayer('CaptionProjection', { inFeatures: 4, hiddenSize: 4 }, 'cpu', 'float64'),
    ).toThrow('float64');
  });

  it('reads each array once: shape and data belong together', () => {
    const layer = new NativeLayer(
      'Timesteps',
      { numChannels: 8, flipSinToCos: true, downscaleFreqShift: 0, scale: 1, maxPeriod: 10000 },
      'cpu',
      'float32',
    );
    const small = native.zeros('float32', [1], 'cpu');
    const large = native.zeros('float32', [2 ** 16], 'cpu');
    let looks = 0;
    const inputs: unknown[] = [];
    Object.defineProperty(inputs, 0, { get: () => (looks++ === 0 ? large : small) });
    expect(layer.forwardSync(any(inputs), [], undefined)[0]!.shape).toEqual([2 ** 16, 8]);
    expect(looks).toBe(1);
  });
});
