import { afterEach, describe, expect, it } from 'vitest';
import { Tensor, TimestepEmbedding, memoryUsage } from '../../lib/index.js';
import * as reference from '../reference/layers.js';
import { randomWeights } from '../support/layers.js';
import { uniform } from '../support/random.js';
import { hostBits, tensorOf } from '../support/tensors.js';
import { twin } from '../support/twin.js';
import { bitsOf, combined16, graphs, launched, replays, settle, subjects } from './replay.js';

// The timestep path is captured after its second forward and replayed from the third on. A replay gives the
// same bits as the launches.

process.env.LATTE_TWIN_DEVICES = '2';
delete process.env.LATTE_TWIN_SOC;
delete process.env.LATTE_ASCEND_CAPTURE;
delete process.env.LATTE_ASCEND_KERNEL_BINARY;

afterEach(() => {
  twin().clearFaults();
  expect(twin().violations()).toEqual([]);
});

describe.each(Object.keys(subjects))('a replay of %s', (name) => {
  const make = subjects[name]!;

  it.each(['float32', 'float16', 'bfloat16'] as const)(
    'gives the bits of launches in %s',
    async (dtype) => {
      const subject = make(dtype);
      await settle(subject);
      for (const i of [3, 4, 0]) {
        twin().reset();
        const bits = await bitsOf(await subject.forward(i));
        expect(replays()).toBe(1);
        expect(bits).toBe(await launched(make, dtype, i));
      }
      subject.dispose();
    },
  );

  it('is made anew for new weights and for another batch', async () => {
    const subject = make('float16');
    await settle(subject);
    subject.load('other');
    for (const i of [0, 1, 2]) {
      expect(await bitsOf(await subject.forward(i))).toBe(
        await launched(make, 'float16', i, 2, 'other'),
      );
    }
    for (const batch of [1, 3, 2, 1, 3, 1, 3, 2]) {
      const bits = await bitsOf(await subject.forward(5, batch));
      expect(bits).toBe(await launched(make, 'float16', 5, batch, 'other'));
    }
    subject.dispose();
  });
});

describe('graphs', () => {
  it('are only a few per layer, however many batch sizes there are', async () => {
    const subject = combined16();
    // A work that comes after the end of the graphs that earlier tests have disposed of.
    await bitsOf(await subject.forward(0));
    const before = graphs();
    for (let round = 0; round < 3; round++) {
      for (let batch = 1; batch <= 7; batch++) await bitsOf(await subject.forward(0, batch));
    }
    expect(graphs() - before).toBe(4);
    // Graphs that were not used for long are destroyed.
    for (let i = 0; i < 70; i++) await bitsOf(await subject.forward(i, 9));
    twin().reset();
    await bitsOf(await subject.forward(1, 9));
    expect(replays()).toBe(1);
    expect(graphs() - before).toBe(4);
    subject.dispose();
  });

  it('end with the weights, which gives their memory back', async () => {
    const other = combined16();
    await settle(other);
    const before = [graphs(), memoryUsage({ device: 'npu:0' }).live];
    const subject = combined16();
    await settle(subject);
    expect(graphs()).toBe(before[0]! + 1);
    subject.dispose();
    // A work that comes after the end that dispose() has requested.
    await bitsOf(await other.forward(0));
    expect([graphs(), memoryUsage({ device: 'npu:0' }).live]).toEqual(before);
    other.dispose();
  });

  it('have ended before memory of their weights is given back', async () => {
    const subject = combined16();
    await settle(subject);
    subject.dispose();
    twin().inject({ call: 'aclrtMalloc', nth: 1, code: 207001 });
    Tensor.zeros([300_000], { device: 'npu:0' }).dispose();
    expect(twin().counters().calls.aclrtFree).toBeGreaterThan(0);
  });
});

describe('several forwards', () => {
  it('in flight have each their own result', async () => {
    const subject = combined16();
    await settle(subject);
    const wanted: string[] = [];
    for (let i = 0; i < 6; i++) {
      wanted.push(await launched(subjects['Combined with sizes']!, 'float16', i));
    }
    twin().reset();
    const results = await Promise.all(wanted.map((_, i) => subject.forward(i)));
    expect(replays()).toBe(6);
    expect(await Promise.all(results.map(bitsOf))).toEqual(wanted);
    subject.dispose();
  });

  it('that are aborted leave the graph as it was', async () => {
    const layer = new TimestepEmbedding({ inChannels: 32, timeEmbedDim: 48, device: 'npu:0' });
    layer.loadStateDict(randomWeights(reference.mlpParameters('', 32, 48, 48)));
    const sample = tensorOf('float32', [2, 32], uniform('aborted', 64));
    const right = await bitsOf([await layer.forward(sample)]);
    for (let i = 0; i < 2; i++) await bitsOf([await layer.forward(sample)]);
    const before = graphs();
    // The stream waits, so that some forwards are aborted while they are on it, and some before.
    const { pointer, event } = twin().fillForeign(0, new Uint8Array(256));
    const late = Tensor.fromDevicePointer(pointer, 'float32', [2, 32], 'npu:0', { event });
    const first = layer.forward(late);
    const abort = new AbortController();
    const aborted = Array.from({ length: 8 }, () =>
      layer.forward(sample, { signal: abort.signal }),
    );
    abort.abort();
    for (const one of await Promise.allSettled(aborted)) {
      expect(one).toMatchObject({ status: 'rejected', reason: { code: 'ERR_ABORTED' } });
    }
    (await first).dispose();
    late.dispose();
    twin().freeForeign();
    twin().reset();
    expect(await bitsOf([await layer.forward(sample)])).toBe(right);
    expect([replays(), graphs()]).toEqual([1, before]);
    layer.dispose();
  });

  it('on several NPUs have each their own graph', async () => {
    const on = ['npu:0', 'npu:1'].map((device) => subjects.TimestepEmbedding!('float16', device));
    for (const subject of on) await settle(subject);
    for (const i of [1, 2]) {
      const [first, second] = await Promise.all(on.map(async (s) => bitsOf(await s.forward(i))));
      expect(first).toBe(second);
      expect(first).toBe(await launched(subjects.TimestepEmbedding!, 'float16', i));
    }
    for (const subject of on) subject.dispose();
  });

  it('replay samples of the NPU, and into an out', async () => {
    const layer = new TimestepEmbedding({ inChannels: 32, timeEmbedDim: 48, device: 'npu:0' });
    layer.loadStateDict(randomWeights(reference.mlpParameters('', 32, 48, 48)));
    const host = [0, 1, 2, 3].map((i) => tensorOf('float32', [2, 32], uniform(`on ${i}`, 64)));
    const out = Tensor.zeros([2, 48], { device: 'npu:0' });
    for (const sample of host) {
      const resident = await sample.to('npu:0');
      twin().reset();
      await layer.forward(resident, { out });
      const fresh = new TimestepEmbedding({ inChannels: 32, timeEmbedDim: 48, device: 'npu:0' });
      fresh.loadStateDict(randomWeights(reference.mlpParameters('', 32, 48, 48)));
      const bits = await bitsOf([await fresh.forward(sample)]);
      expect(Buffer.from(await hostBits(out)).toString('base64')).toBe(bits);
      for (const one of [resident, fresh]) one.dispose();
    }
    expect(twin().counters().launchesByName.aclmdlRIExecuteAsync).toBe(1);
    for (const one of [out, layer]) one.dispose();
  });
});
