import { describe, expect, it } from 'vitest';
import { handleList, native, type NativeTensor } from '../../lib/native.js';
import { bomb, survives } from '../support/hostile.js';

const any = (value: unknown): never => value as never;

const timesteps = {
  numChannels: 8,
  flipSinToCos: true,
  downscaleFreqShift: 0,
  scale: 1,
  maxPeriod: 10000,
};

const patches = {
  height: 8,
  width: 8,
  patchSize: 2,
  inChannels: 4,
  embedDim: 16,
  layerNorm: false,
  flatten: true,
  bias: true,
  interpolationScale: 1,
  positions: true,
  posEmbedMaxSize: 0,
};

describe('the addon itself, called without the facade', () => {
  it('does not read beyond the data, whatever the shape', () => {
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
        const tensor = native.tensorFrom('float32', any(shape), new Float32Array(2));
        const results = handleList(1);
        native.convertSync(tensor, 'float64', 'cpu', results);
        expect(native.arrayBuffer(results[0]!, false).byteLength).toBeLessThanOrEqual(16);
      });
    }
  });

  it('accepts a handle only as what it is', () => {
    const tensor = native.zeros('float32', [1], 'cpu');
    const layer = native.createLayer('Timesteps', timesteps, 'cpu', 'float32');
    const others = [undefined, null, 1, 'x', {}, [], bomb, () => 1, Object.create(tensor)];
    const ofTensors = [
      'tensorDType',
      'tensorShape',
      'tensorDevice',
      'devicePointer',
      'arrayBuffer',
      'alias',
      'rows',
      'disposeTensor',
      'convertSync',
      'convert',
      'repeatRows',
    ] as const;
    const ofLayers = [
      'parameters',
      'load',
      'state',
      'forward',
      'forwardSync',
      'disposeLayer',
    ] as const;
    for (const name of ofTensors) {
      for (const other of [...others, layer, new Proxy(tensor, {})]) {
        expect(() => (native[name] as (value: unknown) => void)(other)).toThrow();
      }
    }
    for (const name of ofLayers) {
      for (const other of [...others, tensor, new Proxy(layer, {})]) {
        expect(() => (native[name] as (value: unknown) => void)(other)).toThrow();
      }
    }
    expect(native.tensorShape(tensor)).toEqual([1]);
  });

  it('returns handles without properties, and refuses them once they are disposed', () => {
    const tensor = native.zeros('float32', [1], 'cpu');
    expect(Reflect.ownKeys(tensor)).toEqual([]);
    expect(Object.getPrototypeOf(tensor)).toBe(Object.prototype);
    native.disposeTensor(tensor);
    expect(() => native.tensorShape(tensor)).toThrow('the tensor was disposed');
    expect(() => native.disposeTensor(tensor)).toThrow('the tensor was disposed');
    const layer = native.createLayer('Timesteps', timesteps, 'cpu', 'float32');
    native.disposeLayer(layer);
    expect(() => native.parameters(layer)).toThrow('the layer was disposed');
  });

  it("keeps a tensor's array where a caller cannot replace it", () => {
    const tensor = native.tensorFrom('float32', [2], new Float32Array([1, 2]));
    expect(Reflect.set(tensor, 'data', new Float32Array(0))).toBe(false);
    expect(Reflect.deleteProperty(tensor, 'data')).toBe(false);
    expect(Reflect.defineProperty(tensor, 'data', { get: () => bomb })).toBe(false);
  });

  it('refuses arguments of every kind', async () => {
    const layer = native.createLayer('PatchEmbed', patches, 'cpu', 'float32');
    const strange = [undefined, null, 5, 'x', {}, [], [null], [{}], bomb, Symbol('s'), () => 1, 2n];
    for (const a of strange) {
      for (const b of strange) {
        survives(() => native.load(layer, any(a), any(b)));
        survives(() => native.forwardSync(layer, any(a), any(b), any(a)));
        survives(() => {
          const promise = native.forward(layer, any(a), any(b), any(b), any(a));
          promise.catch(() => undefined);
        });
        survives(() => native.cancel(any(a)));
        survives(() => native.createLayer(any(a), any(b), any(a), any(b)));
        survives(() => native.tensorFrom(any(a), any(b), any(a)));
        survives(() => native.zeros(any(a), any(b), any(a)));
        survives(() => native.convertSync(any(a), any(b), any(a), any(b)));
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
    const borrowed = native.tensorFrom('float32', [2], new Float32Array(2));
    expect(() => native.alias(borrowed)).toThrow('belongs to the caller');
    expect(() => native.arrayBuffer(borrowed, false)).toThrow('belongs to the caller');
    const owned = native.zeros('float32', [2], 'cpu');
    expect(native.arrayBuffer(owned, false)).toBe(native.arrayBuffer(owned, false));
    expect(() => native.sincosPosEmbed1d(4096, 64, 1, 'float16')).toThrow('float32 or float64');
    expect(() => native.sincosPosEmbed1d(5, 4, 1, 'float32')).toThrow('multiple of 2');
    expect(() => native.sincosPosEmbed2d(4096, 8, 8, -20, 1, 1, 'float32')).toThrow('out of range');
    const none = { ...patches, patchSize: 0 };
    expect(() => native.createLayer('PatchEmbed', none, 'cpu', 'float32')).toThrow(
      'patchSize is out of range',
    );
    const sizes = { inFeatures: 4, hiddenSize: 4 };
    expect(() => native.createLayer('CaptionProjection', sizes, 'cpu', 'float64')).toThrow(
      'float64',
    );
  });

  it('reads each array once, so that shape and data fit together', () => {
    const layer = native.createLayer('Timesteps', timesteps, 'cpu', 'float32');
    const small = native.zeros('float32', [1], 'cpu');
    const large = native.zeros('float32', [2 ** 16], 'cpu');
    let looks = 0;
    const inputs: unknown[] = [];
    Object.defineProperty(inputs, 0, { get: () => (looks++ === 0 ? large : small) });
    const results = handleList(1);
    native.forwardSync(layer, any(inputs), results, undefined);
    expect(native.tensorShape(results[0]!)).toEqual([2 ** 16, 8]);
    expect(looks).toBe(1);
  });

  it('reads addresses after the last code of the caller has run', () => {
    const layer = native.createLayer('Timesteps', timesteps, 'cpu', 'float32');
    const data = new Float32Array(2 ** 18);
    const first = native.tensorFrom('float32', [2 ** 18], data);
    const inputs: unknown[] = [first];
    const second = (): NativeTensor => {
      structuredClone(data.buffer, { transfer: [data.buffer] });
      return native.zeros('float32', [1], 'cpu');
    };
    Object.defineProperty(inputs, 1, { get: second });
    expect(() => native.forwardSync(layer, any(inputs), handleList(1), undefined)).toThrow(
      'was detached or shrunk',
    );
  });
});
