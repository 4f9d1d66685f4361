import { afterAll, describe, expect, it } from 'vitest';
import { CaptionProjection, Tensor, memoryUsage, type DType } from '../../lib/index.js';
import { mlpParameters } from '../reference/layers.js';
import { refused, rejected } from '../support/errors.js';
import { random, randomWeights } from '../support/layers.js';
import { hostBits, rawBits, tensorOf, valuesOf } from '../support/tensors.js';
import { twin } from '../support/twin.js';

const dtypes: readonly DType[] = ['float64', 'float32', 'float16', 'bfloat16', 'int32', 'int64'];

describe('to() and back', () => {
  it.each(dtypes)('keeps every bit of %s, in every length', async (dtype) => {
    for (const length of [0, 1, 3, 8, 31, 1000, 70_001]) {
      const host = tensorOf(
        dtype,
        [length],
        Float64Array.from({ length }, (_, i) => (i % 1000) - 500),
      );
      const there = await host.to('npu:0');
      expect([there.device, there.dtype, there.shape]).toEqual(['npu:0', dtype, [length]]);
      const back = await there.to('cpu');
      expect(rawBits(back)).toEqual(rawBits(host));
      const beside = await there.to('npu:1');
      expect(beside.device).toBe('npu:1');
      expect(await hostBits(beside)).toEqual(rawBits(host));
      for (const tensor of [host, there, back, beside]) tensor.dispose();
    }
  });

  it('changes the dtype on the way, rounding once', async () => {
    const values = [0.1, -1 / 3, 65519, 65520, 1e-8, NaN, 1 + 2 ** -11 + 2 ** -40];
    const host = tensorOf('float64', [values.length], values);
    for (const dtype of ['float32', 'float16', 'bfloat16'] as const) {
      const expected = rawBits(await host.to({ dtype }));
      const there = await host.to({ device: 'npu:0', dtype });
      expect(await hostBits(there)).toEqual(expected);
      const wide = await host.to('npu:0');
      expect(await hostBits(await wide.to({ device: 'cpu', dtype }))).toEqual(expected);
    }
  });

  it.each([10, 9000])('changes the dtype of %i elements on the device', async (length) => {
    const host = random([length]);
    const there = await host.to('npu:0');
    for (const dtype of ['float16', 'bfloat16', 'float32'] as const) {
      const changed = await there.to({ dtype });
      expect([changed.device, changed.dtype]).toEqual(['npu:0', dtype]);
      expect(await hostBits(changed)).toEqual(rawBits(await host.to({ dtype })));
    }
  });

  it('many at once, in the order of their calls', async () => {
    const tensors = Array.from({ length: 40 }, (_, i) =>
      tensorOf('float32', [100], Array<number>(100).fill(i)),
    );
    const there = await Promise.all(tensors.map((tensor) => tensor.to('npu:0')));
    const back = await Promise.all(there.map((tensor) => tensor.to('cpu')));
    for (const [i, tensor] of back.entries()) expect(valuesOf(tensor)[99]).toBe(i);
  });

  it('zeros are zeros there, too', async () => {
    const zeros = Tensor.zeros([3, 77], { dtype: 'float16', device: 'npu:0' });
    expect((await hostBits(zeros)).every((byte) => byte === 0)).toBe(true);
  });
});

describe('toOrt', () => {
  it('refuses a tensor on an NPU, and names what to use', async () => {
    class OrtTensor {
      constructor(readonly args: unknown[]) {}
    }
    const there = await tensorOf('float32', [2], [1, 2]).to('npu:0');
    refused(
      () => there.toOrt({ Tensor: OrtTensor }),
      'ERR_STATE',
      'on npu:0',
      "(await tensor.to('cpu')).toOrt(ort)",
    );
    there.dispose();
  });
});

describe('a tensor on an NPU', () => {
  it('has no data on the host, and names how to get it', async () => {
    const there = await random([4]).to('npu:0');
    refused(() => there.data, 'ERR_STATE', 'npu:0', "to('cpu')");
  });

  it('counts as memory of its device until it is disposed', async () => {
    const before = memoryUsage({ device: 'npu:0' }).live;
    const there = await random([1000]).to('npu:0');
    expect(memoryUsage({ device: 'npu:0' }).live).toBeGreaterThanOrEqual(before + 4000);
    there.dispose();
    expect(memoryUsage({ device: 'npu:0' }).live).toBe(before);
    refused(() => there.devicePointer, 'ERR_DISPOSED');
    await rejected(() => there.to('cpu'), 'ERR_DISPOSED');
  });
});

function layerOn(device: string): CaptionProjection {
  const layer = new CaptionProjection({ inFeatures: 8, hiddenSize: 12, device });
  layer.loadStateDict(randomWeights(mlpParameters('', 8, 12, 12)));
  return layer;
}

describe('a layer on an NPU', () => {
  const layer = layerOn('npu:0');
  const caption = random([3, 8]);
  afterAll(() => layer.dispose());

  it('takes tensors of any device, and gives the same', async () => {
    const expected = await hostBits(await layer.forward(caption));
    for (const device of ['npu:0', 'npu:1']) {
      const there = await caption.to(device);
      const result = await layer.forward(there);
      expect(result.device).toBe('npu:0');
      expect(await hostBits(result)).toEqual(expected);
      expect(await hostBits(layer.forwardSync(there))).toEqual(expected);
    }
  });

  it('writes into an `out` of its device, and refuses any other', async () => {
    const out = Tensor.zeros([3, 12], { device: 'npu:0' });
    expect(await layer.forward(caption, undefined, { out })).toBe(out);
    expect(await hostBits(out)).toEqual(await hostBits(await layer.forward(caption)));
    for (const device of ['cpu', 'npu:1']) {
      const elsewhere = Tensor.zeros([3, 12], { device });
      await rejected(
        () => layer.forward(caption, undefined, { out: elsewhere }),
        'ERR_VALUE',
        'out',
        'npu:0',
      );
    }
  });

  it('gives its weights back as they came', () => {
    const weights = randomWeights(mlpParameters('', 8, 12, 12));
    for (const [name, tensor] of Object.entries(layer.stateDict())) {
      expect(rawBits(tensor)).toEqual(rawBits(weights[name]!));
    }
  });

  it('is aborted while it waits', async () => {
    const abort = new AbortController();
    // The device's stream waits for the other addon, and has room for only a few forwards.
    const { pointer, event } = twin().fillForeign(0, new Uint8Array(64));
    const late = Tensor.fromDevicePointer(pointer, 'float32', [2, 8], 'npu:0', { event });
    const before = Array.from({ length: 4 }, () => layer.forward(late));
    const jobs = Array.from({ length: 20 }, () =>
      layer.forward(caption, undefined, { signal: abort.signal }),
    );
    abort.abort();
    for (const job of await Promise.allSettled(jobs)) {
      expect(job).toMatchObject({ status: 'rejected', reason: { code: 'ERR_ABORTED' } });
    }
    await Promise.all(before);
    twin().freeForeign();
    // The aborted forwards have left nothing behind: the next one is right.
    expect((await layer.forward(caption)).shape).toEqual([3, 12]);
  });
});

describe('several NPUs', () => {
  it('work at once, each on its own, and give the same bits', async () => {
    const layers = ['npu:0', 'npu:1'].map(layerOn);
    const caption = random([50, 8]);
    const results = await Promise.all(
      Array.from({ length: 30 }, (_, i) => layers[i % 2]!.forward(caption)),
    );
    const bits = await Promise.all(results.map(hostBits));
    for (const [i, one] of bits.entries()) {
      expect(results[i]!.device).toBe(`npu:${i % 2}`);
      expect(one).toEqual(bits[0]);
    }
    for (const layer of layers) layer.dispose();
  });

  it('a fault of one does not affect the other', async () => {
    const layers = ['npu:0', 'npu:1'].map(layerOn);
    const caption = random([5, 8]);
    for (const layer of layers) await layer.forward(caption);
    twin().inject({ call: 'launch', nth: 1, code: 507015, async: true, device: 1 });
    const [first, second] = await Promise.allSettled(layers.map((layer) => layer.forward(caption)));
    expect(first!.status).toBe('fulfilled');
    expect(second).toMatchObject({
      status: 'rejected',
      reason: { code: 'ERR_DEVICE', aclCode: 507015 },
    });
    expect((await layers[1]!.forward(caption)).shape).toEqual([5, 12]);
    for (const layer of layers) layer.dispose();
  });
});

describe('memory that another addon of the process owns', () => {
  const bytes = new Uint8Array(Float32Array.from({ length: 64 }, (_, i) => i / 8).buffer);
  afterAll(() => twin().freeForeign());

  it('is read in place, after the event behind what fills it', async () => {
    const { pointer, event } = twin().fillForeign(0, bytes);
    const tensor = Tensor.fromDevicePointer(pointer, 'float32', [8, 8], 'npu:0', { event });
    expect([tensor.devicePointer, tensor.device]).toEqual([pointer, 'npu:0']);
    const layer = layerOn('npu:0');
    const result = await hostBits(await layer.forward(tensor));
    const caption = tensorOf(
      'float32',
      [8, 8],
      Float64Array.from({ length: 64 }, (_, i) => i / 8),
    );
    expect(result).toEqual(await hostBits(await layer.forward(caption)));
    expect(await hostBits(tensor)).toEqual(bytes);
    tensor.dispose();
    layer.dispose();
  });

  it('rejects the work that cannot wait for the event, and the next one waits', async () => {
    const { pointer, event } = twin().fillForeign(0, bytes);
    twin().inject({ call: 'aclrtStreamWaitEvent', nth: 1, code: 507018 });
    const tensor = Tensor.fromDevicePointer(pointer, 'float32', [64], 'npu:0', { event });
    await rejected(() => tensor.to('cpu'), 'ERR_DEVICE', 'aclrtStreamWaitEvent', '507018');
    expect(await hostBits(tensor)).toEqual(bytes);
    tensor.dispose();
  });

  it('may begin at any address', async () => {
    const { pointer, event } = twin().fillForeign(0, bytes);
    const tensor = Tensor.fromDevicePointer(pointer + 4n, 'float32', [7, 8], 'npu:0', { event });
    expect(await hostBits(tensor)).toEqual(bytes.subarray(4, 4 + 4 * 56));
    const layer = layerOn('npu:0');
    const result = await hostBits(await layer.forward(tensor));
    const caption = tensorOf(
      'float32',
      [7, 8],
      Float64Array.from({ length: 56 }, (_, i) => (i + 1) / 8),
    );
    expect(result).toEqual(await hostBits(await layer.forward(caption)));
    layer.dispose();
    tensor.dispose();
  });

  it('and the other way round: the other addon reads our memory', async () => {
    const tensor = await tensorOf('float32', [64], new Float32Array(bytes.buffer)).to('npu:0');
    expect(twin().readForeign(0, tensor.devicePointer, bytes.length)).toEqual(bytes);
    tensor.dispose();
  });

  it('disposing of the tensor frees nothing', async () => {
    const { pointer, event } = twin().fillForeign(0, bytes);
    Tensor.fromDevicePointer(pointer, 'float32', [64], 'npu:0', { event }).dispose();
    await layerOn('npu:0').forward(random([1, 8]));
    expect(twin().readForeign(0, pointer, bytes.length)).toEqual(bytes);
  });

  it('is refused without an address, and on the cpu', () => {
    refused(() => Tensor.fromDevicePointer(0n, 'float32', [1], 'npu:0'), 'ERR_VALUE', 'pointer');
    refused(() => Tensor.fromDevicePointer(2n, 'float32', [1], 'npu:0'), 'ERR_VALUE', '4');
    refused(() => Tensor.fromDevicePointer(64n, 'float32', [1], 'cpu'), 'ERR_VALUE', 'cpu');
  });
});
