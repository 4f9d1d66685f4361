import { describe, expect, it } from 'vitest';
import { memoryUsage, Tensor } from '../../lib/index.js';
import { refused, rejected } from '../support/errors.js';
import { bomb, survives, unprintable } from '../support/hostile.js';

// Checks of device memory that need no device. With NPUs: test/npu/tensors.test.ts.

const any = (value: unknown): never => value as never;

describe('Tensor.fromDevicePointer refuses', () => {
  it.each([
    ['no pointer', 0n, '0n'],
    ['a negative one', -64n, '-64n'],
    ['one of more than 64 bits', 2n ** 64n, 'a large bigint'],
    ['a number', 64, '64'],
    ['text', '0x40', '"0x40"'],
    ['null', null, 'null'],
    ['undefined', undefined, 'undefined'],
  ])('%s as pointer or event', (_, address, shown) => {
    refused(
      () => Tensor.fromDevicePointer(any(address), 'float32', [4], 'npu:0'),
      'ERR_VALUE',
      'pointer must be a bigint from 1n to 2n ** 64n - 1n',
      shown,
    );
    // An event may be missing or undefined.
    if (address === undefined) return;
    refused(
      () => Tensor.fromDevicePointer(64n, 'float32', [4], 'npu:0', { event: any(address) }),
      'ERR_VALUE',
      'event must be a bigint',
      shown,
    );
  });

  it.each([
    ['another dtype', ['float8', [4], 'npu:0'], 'ERR_DTYPE', ['dtype', '"float8"']],
    ['no shape', ['float32', undefined, 'npu:0'], 'ERR_SHAPE', ['shape', 'undefined']],
    ['a number as shape', ['float32', 4, 'npu:0'], 'ERR_SHAPE', ['shape', '4']],
    ['a negative length', ['float32', [2, -1], 'npu:0'], 'ERR_SHAPE', ['shape', '[2, -1]']],
    ['half an element', ['float32', [0.5], 'npu:0'], 'ERR_SHAPE', ['shape', '0.5']],
    [
      'a shape whose product overflows',
      ['float32', [2 ** 31, 2 ** 31, 2 ** 31], 'npu:0'],
      'ERR_SHAPE',
      ['2^47 bytes'],
    ],
    ['no device', ['float32', [4], undefined], 'ERR_VALUE', ['device', 'undefined']],
    ['any device', ['float32', [4], 'auto'], 'ERR_VALUE', ['device', '"auto"']],
    ['an unknown device', ['float32', [4], 'gpu:0'], 'ERR_VALUE', ['device', '"gpu:0"']],
    ['a negative device', ['float32', [4], 'npu:-1'], 'ERR_VALUE', ['device', '"npu:-1"']],
    ['a device with zeros before', ['float32', [4], 'npu:00'], 'ERR_VALUE', ['"npu:00"']],
    [
      'a device that is not there',
      ['float32', [4], 'npu:99'],
      'ERR_DEVICE_UNAVAILABLE',
      ['npu:99'],
    ],
    ["the host's memory", ['float32', [4], 'cpu'], 'ERR_VALUE', ['cpu']],
    ['options that are none', ['float32', [4], 'npu:0', 7], 'ERR_VALUE', ['options', '7']],
  ] as const)('%s', (_, args, code, texts) => {
    const [dtype, shape, device, options] = args as unknown as [never, never, never, never];
    refused(() => Tensor.fromDevicePointer(64n, dtype, shape, device, options), code, ...texts);
  });

  it('arguments of all other kinds, without a crash', () => {
    for (const value of [
      bomb,
      unprintable,
      Symbol('x'),
      () => 0,
      {},
      [],
      NaN,
      '',
      new Proxy([], {}),
    ]) {
      survives(() => Tensor.fromDevicePointer(any(value), 'float32', [1], 'npu:0'));
      survives(() => Tensor.fromDevicePointer(64n, any(value), [1], 'npu:0'));
      survives(() => Tensor.fromDevicePointer(64n, 'float32', any(value), 'npu:0'));
      survives(() => Tensor.fromDevicePointer(64n, 'float32', [1], any(value)));
      survives(() => Tensor.fromDevicePointer(64n, 'float32', [1], 'npu:9', any(value)));
    }
  });
});

describe('devicePointer', () => {
  it('throws on the cpu, and names what to use', () => {
    for (const tensor of [Tensor.zeros([4]), new Tensor('float32', [1, 2])]) {
      refused(() => tensor.devicePointer, 'ERR_STATE', 'cpu', 'data', "to('npu:0')");
      tensor.dispose();
      refused(() => tensor.devicePointer, 'ERR_DISPOSED');
    }
  });
});

describe('devices by name', () => {
  it.each([3, null, {}, ['npu:0'], 'NPU:0', 'npu:', 'npu:0 ', ' npu', 'npu:1e1', 'npu:99999'])(
    '%j is none',
    async (device) => {
      await rejected(() => Tensor.zeros([1]).to(any({ device })), 'ERR_VALUE', 'device');
      refused(() => Tensor.zeros([1], { device: any(device) }), 'ERR_VALUE', 'device');
      refused(() => memoryUsage({ device: any(device) }), 'ERR_VALUE', 'device');
    },
  );

  it('a tensor that was refused a device is as it was', async () => {
    const tensor = new Tensor('float32', [1, 2]);
    await rejected(() => tensor.to('npu:99'), 'ERR_DEVICE_UNAVAILABLE', 'npu:99');
    expect(tensor.toFloat32Array()).toEqual(Float32Array.of(1, 2));
  });
});
