import { MessageChannel, receiveMessageOnPort } from 'node:worker_threads';
import { afterAll, describe, expect, it } from 'vitest';
import { get1dSincosPosEmbed, Tensor, type DType } from '../../lib/index.js';
import { refused } from '../support/errors.js';
import { smallPatchEmbed, random } from '../support/layers.js';
import { rawBits, tensorOf, valuesOf as arrayOfValues } from '../support/tensors.js';
import { oneNodeModel } from './onnx-model.js';
import { ort } from './packages.js';

const valuesOf = (tensor: Tensor): number[] => [...arrayOfValues(tensor)];

const dtypes = ['float64', 'float32', 'float16', 'int32', 'int64'] as const;

function session(dtype: (typeof dtypes)[number], shape: number[]) {
  return ort.InferenceSession.create(oneNodeModel('Neg', dtype, shape));
}

/** A tensor in the library's own memory. */
function ownTensor(dtype: DType, shape: number[], values: number[]): Tensor {
  const tensor = Tensor.zeros(shape, { dtype });
  new Uint8Array(tensor.data.buffer).set(rawBytes(tensorOf(dtype, shape, values)));
  return tensor;
}

function rawBytes({ data, byteLength }: Tensor): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, byteLength);
}

describe('onnxruntime-node', () => {
  describe.each(dtypes)('%s', (dtype) => {
    it.each([
      ['an array of the caller', tensorOf],
      ['memory of the library', ownTensor],
    ])('reads and writes %s without a copy', async (_, make) => {
      const run = await session(dtype, [2, 3]);
      const input = make(dtype, [2, 3], [1, -2, 3, 4, 5, 7]);
      const output = make(dtype, [2, 3], [0, 0, 0, 0, 0, 0]);
      const fed = input.toOrt(ort);
      expect([fed.type, fed.dims, fed.size, fed.location]).toEqual([dtype, [2, 3], 6, 'cpu']);
      expect((fed.data as Uint8Array).buffer).toBe(input.data.buffer);
      await run.run({ x: fed }, { y: output.toOrt(ort) });
      expect(valuesOf(output)).toEqual([-1, 2, -3, -4, -5, -7]);
      // The session reads what the tensor holds at the time of the run.
      rawBytes(input).set(rawBytes(output));
      const { y } = await run.run({ x: fed });
      const result = Tensor.fromOrt(y!);
      expect([result.dtype, result.shape]).toEqual([dtype, [2, 3]]);
      expect(result.data.buffer).toBe((y!.data as Uint8Array).buffer);
      expect(valuesOf(result)).toEqual([1, -2, 3, 4, 5, 7]);
    });

    it('comes back as the same memory', () => {
      const tensor = ownTensor(dtype, [2], [5, 6]);
      const back = Tensor.fromOrt(tensor.toOrt(ort));
      expect(back.data.constructor).toBe(tensor.data.constructor);
      expect([back.data.buffer, back.dtype, back.shape]).toEqual([tensor.data.buffer, dtype, [2]]);
    });
  });

  it('takes scalars and tensors without elements', async () => {
    for (const shape of [[], [0, 3]]) {
      const run = await session('float32', shape);
      const input = Tensor.zeros(shape);
      const { y } = await run.run({ x: input.toOrt(ort) });
      expect(Tensor.fromOrt(y!).shape).toEqual(shape);
    }
  });

  it('takes a part of an array from where it begins', async () => {
    const run = await session('float16', [2]);
    const bits = new Uint16Array([0, 0x3c00, 0x4000, 0]).subarray(1, 3);
    const { y } = await run.run({ x: new Tensor('float16', bits).toOrt(ort) });
    expect(valuesOf(Tensor.fromOrt(y!))).toEqual([-1, -2]);
  });

  it('fills the memory that a layer reads, and reads what a layer wrote', async () => {
    const layer = smallPatchEmbed();
    const latent = random([2, 4, 8, 8]);
    const expected = layer.forwardSync(latent);
    const run = await session('float32', latent.shape);
    const negative = Tensor.zeros(latent.shape);
    await run.run({ x: latent.toOrt(ort) }, { y: negative.toOrt(ort) });
    const out = Tensor.zeros(expected.shape);
    const outOrt = out.toOrt(ort);
    rawBytes(negative).set(rawBytes(latent));
    await layer.forward(negative, { out });
    expect(rawBits(Tensor.fromOrt(outOrt))).toEqual(rawBits(expected));
  });

  it('rejects the run of a tensor that was disposed, and does not touch its memory', async () => {
    const run = await session('float32', [64]);
    const gone = ownTensor('float32', [64], new Array<number>(64).fill(1));
    const fed = gone.toOrt(ort);
    const running = run.run({ x: fed });
    gone.dispose();
    await expect(running).rejects.toThrow('not enough space: expected 256, got 0');
    const output = Tensor.zeros([64]);
    const filling = run.run({ x: Tensor.zeros([64]).toOrt(ort) }, { y: output.toOrt(ort) });
    output.dispose();
    await expect(filling).rejects.toThrow('not enough space: expected 256, got 0');
    refused(() => gone.toOrt(ort), 'ERR_DISPOSED', 'tensor was disposed');
    refused(() => Tensor.fromOrt(fed), 'ERR_STATE', 'detached');
  });

  it('leaves the memory when ONNX Runtime disposes its side', async () => {
    const tensor = ownTensor('float32', [2], [3, 4]);
    const given = tensor.toOrt(ort);
    const back = Tensor.fromOrt(given);
    given.dispose();
    expect([valuesOf(tensor), valuesOf(back)]).toEqual([
      [3, 4],
      [3, 4],
    ]);
    refused(() => Tensor.fromOrt(given), 'ERR_DISPOSED', 'tensor was disposed by ONNX Runtime');
  });

  it('keeps the memory while only ONNX Runtime has it', async () => {
    const given = get1dSincosPosEmbed(64, 1024).toOrt(ort);
    const expected = (given.data as Float32Array).slice();
    for (let i = 0; i < 20; i++) {
      globalThis.gc?.();
      get1dSincosPosEmbed(64, 1024, { baseSize: 7 + i });
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(given.data).toEqual(expected);
  });

  it('refuses bfloat16, and names what to use', async () => {
    const tensor = tensorOf('bfloat16', [2], [1, 2]);
    refused(() => tensor.toOrt(ort), 'ERR_DTYPE', 'no bfloat16', "to({ dtype: 'float32' })");
    const converted = (await tensor.to({ dtype: 'float32' })).toOrt(ort);
    expect(converted.data).toEqual(Float32Array.of(1, 2));
  });

  it('refuses a tensor that a forward is writing', async () => {
    const layer = smallPatchEmbed();
    const out = Tensor.zeros([1, 16, 16]);
    const written = layer.forward(random([1, 4, 8, 8]), { out });
    refused(() => out.toOrt(ort), 'ERR_STATE', 'being written');
    await written;
    expect(out.toOrt(ort).dims).toEqual([1, 16, 16]);
  });
});

describe('Tensor.fromOrt', () => {
  it('refuses types that it does not have', () => {
    refused(
      () => Tensor.fromOrt(new ort.Tensor('bool', [true])),
      'ERR_DTYPE',
      'type of tensor must be one of float64, float32, float16, int32, int64, but is "bool"',
    );
    refused(() => Tensor.fromOrt(new ort.Tensor(['text'])), 'ERR_DTYPE', 'is "string"');
    refused(() => Tensor.fromOrt(new ort.Tensor(Uint16Array.of(1))), 'ERR_DTYPE', 'is "uint16"');
  });

  it('refuses data that is not on the cpu', () => {
    const away = ort.Tensor.fromGpuBuffer({} as never, { dataType: 'float32', dims: [1] });
    refused(() => Tensor.fromOrt(away), 'ERR_STATE', 'at "gpu-buffer"', 'await tensor.getData()');
  });

  const good = { type: 'float32', dims: [2], data: Float32Array.of(1, 2) };
  const throwing = {
    ...good,
    get data(): unknown {
      throw new Error('lost');
    },
  };
  it.each([
    ['nothing', undefined, 'ERR_VALUE', 'but is undefined'],
    ['an array', Float32Array.of(1), 'ERR_VALUE', 'but is a Float32Array(1)'],
    [
      'a tensor of this library',
      Tensor.zeros([1]),
      'ERR_VALUE',
      'but is an object of class Tensor',
    ],
    ['dims that are no array', { ...good, dims: 2 }, 'ERR_VALUE', 'type, dims and data'],
    ['a getter that throws', throwing, 'ERR_VALUE', 'tensor.data cannot be read'],
    ['dims that do not fit', { ...good, dims: [3] }, 'ERR_SHAPE', 'data has 2'],
    ['dims that are no lengths', { ...good, dims: [-2] }, 'ERR_SHAPE', 'whole numbers'],
    ['an array of another kind', { ...good, type: 'int32' }, 'ERR_DTYPE', 'must be a Int32Array'],
    ['numbers, which would be copied', { ...good, data: [1, 2] }, 'ERR_DTYPE', 'but is [1, 2]'],
  ] as const)('refuses %s', (_, value, code, message) => {
    refused(() => Tensor.fromOrt(value as never), code, message);
  });

  it('refuses memory that other threads share', () => {
    const data = new Float32Array(new SharedArrayBuffer(8));
    const shared = new ort.Tensor('float32', data, [2]);
    refused(() => Tensor.fromOrt(shared), 'ERR_VALUE', 'SharedArrayBuffer', 'data.slice()');
  });
});

describe('tensor.toOrt', () => {
  it.each([undefined, null, 'onnxruntime-node', {}, { Tensor: 3 }, ort.Tensor])(
    'refuses what is no such module: %o',
    (module) => {
      const message = 'ort must be the module onnxruntime-node or @huggingface/transformers';
      refused(() => Tensor.zeros([1]).toOrt(module as never), 'ERR_VALUE', message);
    },
  );
});

describe('a result and other threads', () => {
  const { port1, port2 } = new MessageChannel();
  afterAll(() => port1.close());

  function post(message: unknown, transfer: ArrayBuffer[]): unknown {
    port1.postMessage(message, transfer);
    return receiveMessageOnPort(port2)?.message;
  }

  it('cannot be transferred: Node.js 20 copies it, later ones refuse', () => {
    const result = get1dSincosPosEmbed(4, 2);
    const { data } = result;
    const buffer = data.buffer as ArrayBuffer;
    if (process.versions.node.startsWith('20.')) {
      expect(post(data, [buffer])).toEqual(data);
    } else {
      expect(() => post(data, [buffer])).toThrow('Cannot transfer object of unsupported type.');
    }
    expect(valuesOf(result)).toHaveLength(8);
  });

  it('reaches them as a copy that is transferred', () => {
    const result = get1dSincosPosEmbed(4, 2);
    const copy = (result.data as Float32Array).slice();
    expect(post(copy, [copy.buffer])).toEqual(result.data);
    expect(copy.length).toBe(0);
  });
});
