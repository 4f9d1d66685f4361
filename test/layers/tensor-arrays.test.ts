import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { Tensor } from '../../lib/index.js';
import { refused } from '../support/errors.js';
import { largePatchEmbed } from '../support/layers.js';

const Float16 = (globalThis as { Float16Array?: new (values: number[]) => Float32Array })
  .Float16Array;
/** 1, 2 and -0.5 as float16. */
const halves = [0x3c00, 0x4000, 0xb800];

describe("a caller's array is read with the runtime's own getters", () => {
  it('not with properties that the caller put on it', () => {
    const lie = (array: Float32Array, name: string, value: unknown): Float32Array =>
      Object.defineProperty(array, name, { value });
    const shared = new Float32Array(new SharedArrayBuffer(16));
    refused(
      () => new Tensor('float32', lie(shared, 'buffer', new ArrayBuffer(16))),
      'ERR_VALUE',
      'SharedArrayBuffer',
    );
    for (const [name, value] of [
      ['buffer', new SharedArrayBuffer(64)],
      ['length', 1000],
      ['byteOffset', 64],
      ['byteLength', 4000],
      ['slice', () => 'mine'],
    ] as const) {
      const tensor = new Tensor('float32', lie(new Float32Array([1, 2]), name, value));
      expect(tensor.shape).toEqual([2]);
      expect([...tensor.toFloat32Array()]).toEqual([1, 2]);
    }
    class Longer extends Float32Array {
      override get length() {
        return 9;
      }
    }
    expect(new Tensor('float32', new Longer(2)).shape).toEqual([2]);
  });

  it('even when the property comes later', () => {
    const array = new Float32Array(2);
    const tensor = new Tensor('float32', array);
    Object.defineProperty(array, 'length', { value: 2 });
    structuredClone(array.buffer, { transfer: [array.buffer] });
    refused(() => tensor.toFloat32Array(), 'ERR_STATE', 'detached', '0 are left');
  });
});

describe('the data of a float16 tensor', () => {
  it('is a Float16Array if the runtime has that class, however the tensor was made', async () => {
    const bits = new Uint16Array(halves);
    const made = [
      new Tensor('float16', [1, 2, -0.5]),
      new Tensor('float16', bits),
      await new Tensor('float32', [1, 2, -0.5]).to({ dtype: 'float16' }),
      await new Tensor('float16', bits).to('cpu'),
    ];
    if (Float16 !== undefined) {
      made.push(new Tensor('float16', new Float16([1, 2, -0.5])));
    }
    for (const { data } of [...made, Tensor.zeros([3], { dtype: 'float16' })]) {
      expect(data.constructor).toBe(Float16 ?? Uint16Array);
    }
    for (const tensor of made) {
      const { buffer, byteOffset } = tensor.data;
      expect([...new Uint16Array(buffer, byteOffset, 3)]).toEqual(halves);
      expect([...tensor.toFloat32Array()]).toEqual([1, 2, -0.5]);
    }
    // `data` is the caller's memory, not a copy.
    expect(made[1]!.data.buffer).toBe(bits.buffer);
  });

  it('while that of a bfloat16 tensor is a Uint16Array', () => {
    expect(new Tensor('bfloat16', [1, 2]).data).toEqual(new Uint16Array([0x3f80, 0x4000]));
  });
});

describe('a tensor as text', () => {
  const text: [Tensor, string][] = [
    [new Tensor('float32', [0.5, 0.1, -2], [3, 1]), 'Tensor(float32, [3, 1], cpu) [0.5, 0.1, -2]'],
    [new Tensor('float64', [Math.PI, 1e300]), 'Tensor(float64, [2], cpu) [3.14159, 1e+300]'],
    [new Tensor('float16', [1, 0.1]), 'Tensor(float16, [2], cpu) [1, 0.0999756]'],
    [new Tensor('bfloat16', [1, NaN, -Infinity]), 'Tensor(bfloat16, [3], cpu) [1, NaN, -Infinity]'],
    [new Tensor('int32', [1, 2, 3, 4, 5, 6, 7]), 'Tensor(int32, [7], cpu) [1, 2, 3, 4, 5, 6, …]'],
    [new Tensor('int64', [2 ** 53 - 1]), 'Tensor(int64, [1], cpu) [9007199254740991]'],
    [Tensor.zeros([0, 4]), 'Tensor(float32, [0, 4], cpu) []'],
    [new Tensor('float32', [7], []), 'Tensor(float32, [], cpu) [7]'],
  ];
  it.each(text)('%s', (tensor, expected) => {
    expect(String(tensor)).toBe(expected);
    expect(inspect(tensor)).toBe(expected);
    expect(inspect({ latent: [tensor] }, { depth: 0 })).not.toContain('Tensor {}');
  });

  it('shows that it was disposed or detached, and never throws', () => {
    const disposed = Tensor.zeros([2]);
    disposed.dispose();
    expect(String(disposed)).toBe('Tensor(float32, [2], disposed)');
    const array = new Float32Array(2);
    const detached = new Tensor('float32', array);
    structuredClone(array.buffer, { transfer: [array.buffer] });
    expect(inspect(detached)).toBe('Tensor(float32, [2], detached)');
    expect(inspect(Tensor.prototype)).toBeTypeOf('string');
    expect(inspect(Object.create(Tensor.prototype))).toBe('Tensor {}');
  });

  it('shows no values while a forward writes them', async () => {
    const { layer, tokens, latent } = largePatchEmbed();
    const out = Tensor.zeros(tokens, { device: layer.device });
    const writing = layer.forward(latent(), { out });
    expect(String(out)).not.toContain(' [0, ');
    await writing;
    layer.dispose();
    out.dispose();
  });
});
