import { describe, expect, it } from 'vitest';
import { Tensor, type DType } from '../../lib/index.js';
import { refused, rejected } from '../support/errors.js';

const any = (value: unknown): never => value as never;

describe('a tensor', () => {
  it('wraps a typed array without copying', () => {
    const data = Float32Array.of(1, 2, 3, 4, 5, 6);
    const tensor = new Tensor('float32', data, [2, 3]);
    expect(tensor.data).toBe(data);
    expect([tensor.dtype, tensor.shape, tensor.size, tensor.byteLength, tensor.device]).toEqual([
      'float32',
      [2, 3],
      6,
      24,
      'cpu',
    ]);
  });

  it('takes a view into the middle of a buffer', async () => {
    const buffer = Float32Array.from({ length: 10 }, (_, i) => i);
    const tensor = new Tensor('float32', buffer.subarray(3, 7), [2, 2]);
    expect((await tensor.to({ dtype: 'float64' })).data).toEqual(Float64Array.of(3, 4, 5, 6));
  });

  it.each([
    ['float64', Float64Array.of(1, -2)],
    ['float32', Float32Array.of(1, -2)],
    ['int32', Int32Array.of(1, -2)],
    ['int64', BigInt64Array.of(1n, -2n)],
    ['float16', Uint16Array.of(0x3c00, 0xc000)],
    ['bfloat16', Uint16Array.of(0x3f80, 0xc000)],
  ] as const)('%s holds the values of a number[]', (dtype, wanted) => {
    const tensor = new Tensor(dtype, [1, -2]);
    const { data } = tensor;
    const bits =
      dtype === 'float16' ? new Uint16Array(data.buffer, data.byteOffset, data.length) : data;
    expect(bits).toEqual(wanted);
    expect(tensor.toFloat32Array()).toEqual(Float32Array.of(1, -2));
  });

  it('has a shape that nobody can change from outside', () => {
    const shape = [2, 1];
    const tensor = new Tensor('float32', [1, 2], shape);
    shape[0] = 99;
    tensor.shape[1] = 99;
    expect(tensor.shape).toEqual([2, 1]);
  });

  it('may be a scalar or empty', () => {
    expect(new Tensor('float32', [7], []).shape).toEqual([]);
    expect(new Tensor('float32', [], [3, 0]).size).toBe(0);
    expect(new Tensor('float32', []).shape).toEqual([0]);
  });

  it('zeros: float32 on the cpu unless told otherwise', () => {
    const zeros = Tensor.zeros([2, 3]);
    expect([zeros.dtype, zeros.device, zeros.shape]).toEqual(['float32', 'cpu', [2, 3]]);
    expect(zeros.data).toEqual(new Float32Array(6));
    expect(Tensor.zeros([0, 4], { dtype: 'int64' }).data).toEqual(new BigInt64Array(0));
    expect(Tensor.zeros([], { dtype: 'float64', device: undefined }).data).toEqual(
      new Float64Array(1),
    );
  });

  it('zeros are zeros although their memory was used before', () => {
    for (let i = 0; i < 5; i++) {
      const tensor = Tensor.zeros([70_000]);
      expect((tensor.data as Float32Array).every((x) => x === 0)).toBe(true);
      (tensor.data as Float32Array).fill(i + 1);
      tensor.dispose();
    }
  });
});

describe('to()', () => {
  it('without a change shares the memory; each is disposed on its own', async () => {
    for (const tensor of [Tensor.zeros([4]), new Tensor('float32', Float32Array.of(0, 0, 0, 0))]) {
      const twin = await tensor.to('cpu');
      expect(twin).not.toBe(tensor);
      (tensor.data as Float32Array)[2] = 5;
      expect(Array.from(twin.data as Float32Array)).toEqual([0, 0, 5, 0]);
      tensor.dispose();
      expect(Array.from(twin.data as Float32Array)).toEqual([0, 0, 5, 0]);
      expect(twin.disposed).toBe(false);
      twin.dispose();
    }
  });

  it.each([
    ['gpu', 'ERR_VALUE', ["'cpu'", '"gpu"']],
    ['', 'ERR_VALUE', ['device', '""']],
    ['CPU', 'ERR_VALUE', ['device', '"CPU"']],
    ['npu:-1', 'ERR_VALUE', ['device', '"npu:-1"']],
    ['npu:8', 'ERR_DEVICE_UNAVAILABLE', ['npu:8', /not available/]],
    [{ dtype: 'float8' }, 'ERR_DTYPE', ['dtype', '"float8"']],
    [{ dtype: null }, 'ERR_DTYPE', ['dtype', 'null']],
    [{ device: 3 }, 'ERR_VALUE', ['device', '3']],
    [null, 'ERR_VALUE', ['target', 'null']],
    [7, 'ERR_VALUE', ['target', '7']],
    [undefined, 'ERR_VALUE', ['target', 'undefined']],
  ] as const)('refuses %j', async (target, code, texts) => {
    await rejected(() => new Tensor('float32', [1]).to(any(target)), code, ...texts);
  });
});

describe('the constructor refuses', () => {
  it.each([
    ['float33', [1], undefined, 'ERR_DTYPE', ['dtype', '"float33"', 'float32']],
    [undefined, [1], undefined, 'ERR_DTYPE', ['dtype', 'undefined']],
    [7, [1], undefined, 'ERR_DTYPE', ['dtype', '7']],
    ['toString', [1], undefined, 'ERR_DTYPE', ['dtype', '"toString"']],
    ['__proto__', [1], undefined, 'ERR_DTYPE', ['dtype', '"__proto__"']],
    [
      'float32',
      new Float64Array(2),
      undefined,
      'ERR_DTYPE',
      ['data', 'Float32Array', 'Float64Array(2)'],
    ],
    [
      'float64',
      new Float32Array(2),
      undefined,
      'ERR_DTYPE',
      ['data', 'Float64Array', 'Float32Array(2)'],
    ],
    [
      'int64',
      new Int32Array(2),
      undefined,
      'ERR_DTYPE',
      ['data', 'BigInt64Array', 'Int32Array(2)'],
    ],
    ['int32', new Uint32Array(2), undefined, 'ERR_DTYPE', ['data', 'Int32Array', 'Uint32Array(2)']],
    [
      'float16',
      new Int16Array(2),
      undefined,
      'ERR_DTYPE',
      ['data', 'Uint16Array', 'Int16Array(2)'],
    ],
    [
      'bfloat16',
      new Float32Array(2),
      undefined,
      'ERR_DTYPE',
      ['data', 'Uint16Array', 'Float32Array(2)'],
    ],
    ['float32', new DataView(new ArrayBuffer(8)), undefined, 'ERR_DTYPE', ['data', 'DataView']],
    ['float32', new ArrayBuffer(8), undefined, 'ERR_DTYPE', ['data', 'Float32Array']],
    ['float32', undefined, undefined, 'ERR_DTYPE', ['data', 'undefined']],
    ['float32', null, undefined, 'ERR_DTYPE', ['data', 'null']],
    ['float32', '123', undefined, 'ERR_DTYPE', ['data', '"123"']],
    ['float32', { length: 2, 0: 1, 1: 2 }, undefined, 'ERR_DTYPE', ['data', 'an object']],
    ['float32', [1, '2'], undefined, 'ERR_VALUE', ['data[1]', '"2"']],
    ['float32', [1n], undefined, 'ERR_VALUE', ['data[0]', '1n']],
    ['float32', [null], undefined, 'ERR_VALUE', ['data[0]', 'null']],
    ['float32', new Array(2), undefined, 'ERR_VALUE', ['data[0]', 'undefined']],
    ['float32', [[1, 2]], undefined, 'ERR_VALUE', ['data[0]']],
    ['int32', [1.5], undefined, 'ERR_VALUE', ['data[0]', '1.5']],
    ['int32', [2 ** 31], undefined, 'ERR_VALUE', ['data[0]', '2147483648']],
    ['int32', [NaN], undefined, 'ERR_VALUE', ['data[0]', 'NaN']],
    ['int64', [2 ** 53], undefined, 'ERR_VALUE', ['data[0]', '9007199254740992']],
    ['int64', [Infinity], undefined, 'ERR_VALUE', ['data[0]', 'Infinity']],
    ['float32', [1, 2], [3], 'ERR_SHAPE', ['[3]', '3', '2']],
    ['float32', [1, 2], [2, 2], 'ERR_SHAPE', ['[2, 2]', '4', '2']],
    ['float32', [], [], 'ERR_SHAPE', ['[]', '1', '0']],
    ['float32', [1], [-1], 'ERR_SHAPE', ['shape', '-1']],
    ['float32', [1], [0.5, 2], 'ERR_SHAPE', ['shape', '0.5']],
    ['float32', [1], [NaN], 'ERR_SHAPE', ['shape', 'NaN']],
    ['float32', [1], [Infinity, 0], 'ERR_SHAPE', ['shape', 'Infinity']],
    ['float32', [1], ['1'], 'ERR_SHAPE', ['shape', '"1"']],
    ['float32', [1], [1n], 'ERR_SHAPE', ['shape', '1n']],
    ['float32', [1], [null], 'ERR_SHAPE', ['shape', 'null']],
    ['float32', [1], new Array(1), 'ERR_SHAPE', ['shape']],
    ['float32', [1], '1', 'ERR_SHAPE', ['shape', '"1"']],
    ['float32', [1], null, 'ERR_SHAPE', ['shape', 'null']],
    ['float32', [1], 1, 'ERR_SHAPE', ['shape', '1']],
    ['float32', [1], new Array(33).fill(1), 'ERR_SHAPE', ['32', '33']],
    ['float32', [1], [2 ** 31, 2 ** 31, 2 ** 31], 'ERR_SHAPE', ['shape', '2147483648']],
    ['float32', [], [0, 2 ** 50, 2 ** 50], 'ERR_SHAPE', ['shape']],
  ] as const)('(%j, %o, %o)', (dtype, data, shape, code, texts) => {
    refused(() => new Tensor(any(dtype), any(data), any(shape)), code, ...texts);
  });

  it.each([
    [[2 ** 32, 2 ** 32]],
    [[2 ** 53 - 1]],
    [[65536, 65536, 65536, 65536]],
    [[3037000500, 3037000500]],
    [new Array<number>(32).fill(2 ** 30)],
  ])('zeros of %j before anything is allocated', (shape) => {
    refused(() => Tensor.zeros(shape), 'ERR_SHAPE', 'shape');
  });

  it('zeros that no memory can hold, with a code of its own', () => {
    refused(() => Tensor.zeros([2 ** 44]), 'ERR_OUT_OF_MEMORY');
  });

  it.each([
    [{ dtype: 'half' }, 'ERR_DTYPE', '"half"'],
    [{ dtype: null }, 'ERR_DTYPE', 'null'],
    [{ device: null }, 'ERR_VALUE', 'null'],
    [{ device: 'cuda:0' }, 'ERR_VALUE', '"cuda:0"'],
    [{ device: 'npu:8' }, 'ERR_DEVICE_UNAVAILABLE', 'npu:8'],
  ] as const)('zeros with %o', (options, code, text) => {
    refused(() => Tensor.zeros([1], any(options)), code, text);
  });

  it.each([null, 5, 'cpu'])('zeros with options %j', (options) => {
    refused(() => Tensor.zeros([1], any(options)), 'ERR_VALUE', 'options');
  });
});

describe('a disposed tensor', () => {
  it('throws ERR_DISPOSED at every use; a second dispose does nothing', async () => {
    const owned: DType[] = ['float32', 'float16'];
    for (const tensor of [
      ...owned.map((dtype) => Tensor.zeros([3], { dtype })),
      new Tensor('float32', [1, 2, 3]),
    ]) {
      expect(tensor.disposed).toBe(false);
      tensor.dispose();
      tensor.dispose();
      tensor[Symbol.dispose]();
      expect(tensor.disposed).toBe(true);
      refused(() => tensor.data, 'ERR_DISPOSED');
      refused(() => tensor.toFloat32Array(), 'ERR_DISPOSED');
      await rejected(() => tensor.to('cpu'), 'ERR_DISPOSED');
      await rejected(() => tensor.to({ dtype: 'float64' }), 'ERR_DISPOSED');
      expect([tensor.shape, tensor.size, tensor.device]).toEqual([[3], 3, 'cpu']);
    }
  });

  it('detaches the array that it gave out, so that no memory of others can be written', () => {
    const tensor = Tensor.zeros([1000]);
    const array = tensor.data as Float32Array;
    tensor.dispose();
    expect(array.length).toBe(0);
    array[0] = 1;
  });

  it("leaves a caller's array alone", () => {
    const array = Float32Array.of(1, 2);
    new Tensor('float32', array).dispose();
    expect(array).toEqual(Float32Array.of(1, 2));
  });
});
