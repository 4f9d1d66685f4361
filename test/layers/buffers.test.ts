import { describe, expect, it } from 'vitest';
import { Tensor } from '../../lib/index.js';
import { refused, rejected } from '../support/errors.js';
import {
  largePatchEmbed,
  patchEmbedWeights,
  random,
  smallCombined,
  smallPatch,
  smallPatchEmbed,
} from '../support/layers.js';
import { rawBits } from '../support/tensors.js';

interface Resizable extends ArrayBuffer {
  resize(length: number): void;
}

function resizable(length: number, max: number): Resizable {
  return new (ArrayBuffer as unknown as new (length: number, options: object) => Resizable)(
    length,
    { maxByteLength: max },
  );
}

/** Detaches a buffer, as postMessage with a transfer list does. */
function detach(buffer: ArrayBufferLike): void {
  structuredClone(buffer, { transfer: [buffer as ArrayBuffer] });
}

describe('a SharedArrayBuffer', () => {
  it('is refused: another thread could write it in the middle of a computation', () => {
    const shared = new Float32Array(new SharedArrayBuffer(16));
    refused(() => new Tensor('float32', shared), 'ERR_VALUE', 'data', 'SharedArrayBuffer');
  });

  it('is refused as timesteps, too', async () => {
    const shared = new Float32Array(new SharedArrayBuffer(8)) as never;
    await rejected(
      () => smallCombined(false).forward({ timestep: shared }),
      'ERR_VALUE',
      'SharedArrayBuffer',
    );
  });
});

describe('a detached ArrayBuffer', () => {
  it('is refused by the constructor', () => {
    const array = new Float32Array(4);
    detach(array.buffer);
    refused(() => new Tensor('float32', array, [4]), 'ERR_STATE', 'data', 'detached');
    refused(() => new Tensor('float32', array), 'ERR_STATE', 'data', 'detached');
  });

  it('is refused at every later use', async () => {
    const array = new Float32Array(4 * 64);
    const tensor = new Tensor('float32', array, [1, 4, 8, 8]);
    detach(array.buffer);
    const layer = smallPatchEmbed();
    refused(() => tensor.data, 'ERR_STATE', 'detached');
    refused(() => tensor.toFloat32Array(), 'ERR_STATE', 'detached');
    await rejected(() => tensor.to({ dtype: 'float16' }), 'ERR_STATE', 'detached');
    await rejected(() => tensor.to('cpu'), 'ERR_STATE', 'detached');
    await rejected(() => layer.forward(tensor), 'ERR_STATE', 'latent', 'detached');
    refused(() => layer.forwardSync(tensor), 'ERR_STATE', 'latent', 'detached');
    refused(
      () => layer.forwardSync(random([1, 4, 8, 8]), { out: tensor }),
      'ERR_STATE',
      'out',
      'detached',
    );
    tensor.dispose();
  });

  it('is refused in a state dict', () => {
    const weights = patchEmbedWeights(smallPatch);
    detach(weights['proj.weight']!.data.buffer);
    refused(() => smallPatchEmbed().loadStateDict(weights), 'ERR_STATE', 'proj.weight');
  });
});

describe('a resizable ArrayBuffer', () => {
  it('works like any other', async () => {
    const buffer = resizable(1024, 4096);
    const fixed = random([1, 4, 8, 8]);
    const array = new Float32Array(buffer, 0, 256);
    array.set(fixed.data as Float32Array);
    const layer = smallPatchEmbed();
    const wanted = layer.forwardSync(fixed);
    const tensor = new Tensor('float32', array, [1, 4, 8, 8]);
    expect((await layer.forward(tensor)).data).toEqual(wanted.data);
    buffer.resize(4096);
    expect((await layer.forward(tensor)).data).toEqual(wanted.data);
  });

  it('that shrank under its tensor is refused at use, and not read', async () => {
    const layer = smallPatchEmbed();
    for (const array of [
      (b: ArrayBuffer) => new Float32Array(b, 0, 256),
      (b: ArrayBuffer) => new Float32Array(b),
    ]) {
      for (const length of [1020, 512, 0]) {
        const buffer = resizable(1024, 4096);
        const tensor = new Tensor('float32', array(buffer), [1, 4, 8, 8]);
        buffer.resize(length);
        refused(() => tensor.data, 'ERR_STATE', 'shrunk', '256');
        await rejected(() => layer.forward(tensor), 'ERR_STATE', 'latent', 'shrunk');
        await rejected(() => tensor.to({ dtype: 'bfloat16' }), 'ERR_STATE', 'shrunk');
        refused(() => layer.forwardSync(tensor), 'ERR_STATE', 'latent', 'shrunk');
      }
    }
  });

  it('that grows under a tensor of its whole length keeps the tensor as it was', async () => {
    const buffer = resizable(1024, 4096);
    const tensor = new Tensor('float32', new Float32Array(buffer), [1, 4, 8, 8]);
    buffer.resize(4096);
    expect([tensor.size, tensor.shape]).toEqual([256, [1, 4, 8, 8]]);
    expect((await tensor.to({ dtype: 'float64' })).size).toBe(256);
    expect(tensor.toFloat32Array()).toHaveLength(256);
  });
});

describe('during an asynchronous forward', () => {
  const { layer, latent } = largePatchEmbed();
  const wanted = layer.forwardSync(latent());

  function sameBits(a: Tensor, b: Tensor): boolean {
    return Buffer.from(rawBits(a).buffer, rawBits(a).byteOffset, a.byteLength).equals(
      Buffer.from(rawBits(b).buffer, rawBits(b).byteOffset, b.byteLength),
    );
  }

  it('the input may be transferred away: the result is still right', async () => {
    const input = latent();
    const promise = layer.forward(input);
    detach(input.data.buffer);
    const result = await promise;
    expect(sameBits(result, wanted)).toBe(true);
    result.dispose();
  });

  it('the input may be overwritten: the result is still right', async () => {
    const input = latent();
    const promise = layer.forward(input);
    (input.data as Float32Array).fill(NaN);
    const result = await promise;
    expect(sameBits(result, wanted)).toBe(true);
    result.dispose();
  });

  it('a resizable input may shrink: the result is still right', async () => {
    const values = latent().data as Float32Array;
    const buffer = resizable(values.byteLength, values.byteLength);
    const array = new Float32Array(buffer);
    array.set(values);
    const promise = layer.forward(new Tensor('float32', array, [32, 4, 64, 64]));
    buffer.resize(0);
    const result = await promise;
    expect(sameBits(result, wanted)).toBe(true);
    result.dispose();
  });

  it('an `out` that the caller owns may be transferred away: that is an error, not a crash', async () => {
    const out = new Tensor('float32', new Float32Array(wanted.size), wanted.shape);
    const promise = layer.forward(latent(), { out });
    detach(out.data.buffer);
    await rejected(() => promise, 'ERR_STATE', 'out');
  });

  it('an `out` that the caller owns is filled before the promise resolves', async () => {
    const out = new Tensor('float32', new Float32Array(wanted.size), wanted.shape);
    await layer.forward(latent(), { out });
    expect(sameBits(out, wanted)).toBe(true);
  });

  it('the inputs of a conversion may be transferred away', async () => {
    const input = latent();
    const right = await latent().to({ dtype: 'float16' });
    const promise = input.to({ dtype: 'float16' });
    detach(input.data.buffer);
    expect(sameBits(await promise, right)).toBe(true);
  });
});
