import { afterEach, describe, expect, it } from 'vitest';
import {
  CaptionProjection,
  PatchEmbed,
  Tensor,
  Timesteps,
  deviceDiagnostics,
  devices,
  openDevice,
} from '../../lib/index.js';
import { mlpParameters } from '../reference/layers.js';
import { refused, rejected } from '../support/errors.js';
import { random, randomWeights } from '../support/layers.js';
import { longestTurn } from '../support/loop.js';
import { twin } from '../support/twin.js';

// The NPUs of this test take long to open. The event loop must turn during that, for each way to ask for a
// device. Each test uses an NPU of its own, because a process opens an NPU once.

process.env.LATTE_TWIN_OPEN_MS = '600';
process.env.LATTE_TWIN_DEVICES = '8';

const options = { numChannels: 16, flipSinToCos: true, downscaleFreqShift: 0 };

function calls(name: string): number {
  return twin().counters().calls[name] ?? 0;
}

function memoryOf(device: string): unknown {
  return devices().find(({ name }) => name === device)!.memory;
}

/** Expects that the loop turns while a device opens, about as it does otherwise. */
async function expectTurns(start: () => Promise<unknown>): Promise<void> {
  const busy = await longestTurn(start);
  const idle = await longestTurn(() => new Promise((done) => setTimeout(done, busy.duration)));
  // A blocked loop stands still for the whole duration.
  expect(busy.longest - idle.longest, JSON.stringify({ busy, idle })).toBeLessThan(
    busy.duration / 2,
  );
}

afterEach(() => {
  twin().clearFaults();
});

describe('an NPU is not opened by', () => {
  it('devices(), deviceDiagnostics() and constructors', () => {
    expect(devices().filter(({ kind }) => kind === 'npu')).toHaveLength(8);
    expect(deviceDiagnostics().npu.available).toBe(true);
    new Timesteps({ ...options, device: 'npu:0' }).dispose();
    new PatchEmbed({ embedDim: 16, device: 'npu:0', dtype: 'float16' }).dispose();
    expect([calls('aclInit'), calls('aclrtSetDevice'), calls('aclrtCreateContext')]).toEqual([
      1, 0, 0,
    ]);
    expect(memoryOf('npu:0')).toBeUndefined();
  });

  // Comes before an NPU is open: devices() reads the memory of open NPUs on their threads, which counts
  // calls.
  it('fromDevicePointer(), which asks nothing of it, also with an event', () => {
    const before = twin().counters().calls;
    Tensor.fromDevicePointer(64n, 'float32', [4], 'npu:6', { event: 64n }).dispose();
    expect(twin().counters().calls).toEqual(before);
  });
});

describe('openDevice()', () => {
  it('does not keep the event loop; then the NPU is open, with its memory', async () => {
    await expectTurns(() => openDevice('npu:0'));
    expect(calls('aclrtSetDevice')).toBe(1);
    expect(memoryOf('npu:0')).toMatchObject({ total: 2 ** 31 });
    await Promise.all([openDevice('npu'), openDevice('npu:0'), openDevice('cpu')]);
    expect(calls('aclrtSetDevice')).toBe(1);
  });

  it.each(['aclrtSetDevice', 'aclrtCreateContext', 'aclrtGetMemInfo', 'aclrtMallocHost'])(
    'rejects with the reason if %s fails',
    async (call) => {
      const before = twin().counters().liveHandles;
      twin().inject({ call, nth: 1, code: 507033, device: 1 });
      await rejected(
        () => openDevice('npu:1'),
        'ERR_DEVICE_UNAVAILABLE',
        "device 'npu:1' could not be opened",
        call,
        '507033',
      );
      expect(twin().clearFaults()).toBe(0);
      expect(memoryOf('npu:1')).toBeUndefined();
      // Objects made before the failure were released.
      expect(twin().counters().liveHandles).toEqual(before);
    },
  );

  it('opens the NPU after failures', async () => {
    await openDevice('npu:1');
    (await random([4]).to('npu:1')).dispose();
  });

  it('refuses what is no device', async () => {
    await rejected(() => openDevice('gpu:0'), 'ERR_VALUE', 'device', '"gpu:0"');
    await rejected(() => openDevice('npu:8'), 'ERR_DEVICE_UNAVAILABLE', '"npu:8"', 'npu:7');
    await rejected(() => openDevice(undefined as never), 'ERR_VALUE', 'undefined');
    const more = openDevice as (name: string, options: object) => Promise<void>;
    await rejected(() => more('cpu', { timeout: 1 }), 'ERR_VALUE', 'openDevice(name)');
  });
});

describe('the first use opens an NPU', () => {
  it('forward() does not keep the event loop, though its result is new memory', async () => {
    const layer = new Timesteps({ ...options, device: 'npu:2' });
    await expectTurns(async () => (await layer.forward([1, 2])).dispose());
    expect(memoryOf('npu:2')).toBeDefined();
  });

  it('neither does to()', async () => {
    await expectTurns(async () => (await random([4]).to('npu:3')).dispose());
    expect(memoryOf('npu:3')).toBeDefined();
  });

  it('forward() rejects with the reason why that failed, and the next one tries again', async () => {
    const layer = new Timesteps({ ...options, device: 'npu:7' });
    twin().inject({ call: 'aclrtSetDevice', nth: 1, code: 507033, device: 7 });
    await rejected(
      () => layer.forward([1, 2]),
      'ERR_DEVICE_UNAVAILABLE',
      "device 'npu:7' could not be opened",
      'aclrtSetDevice',
      '507033',
    );
    expect((await layer.forward([1, 2])).shape).toEqual([2, 16]);
  });

  it('an aborted forward() does not wait for the opening, nor for works before it', async () => {
    const layer = new Timesteps({ ...options, device: 'npu:6' });
    const first = layer.forward([1, 2]);
    const abort = new AbortController();
    const second = layer.forward([3], { signal: abort.signal });
    abort.abort();
    await rejected(() => second, 'ERR_ABORTED', 'aborted');
    expect(memoryOf('npu:6')).toBeUndefined();
    expect((await first).shape).toEqual([2, 16]);
    expect((await layer.forward([4])).shape).toEqual([1, 16]);
    layer.dispose();
  });

  it('forwardSync() and loadStateDict() wait', () => {
    const layer = new CaptionProjection({ inFeatures: 8, hiddenSize: 12, device: 'npu:4' });
    const weights = randomWeights(mlpParameters('', 8, 12, 12));
    twin().inject({ call: 'aclrtSetDevice', nth: 1, code: 507033, device: 4 });
    refused(() => layer.loadStateDict(weights), 'ERR_DEVICE_UNAVAILABLE', 'npu:4', '507033');
    layer.loadStateDict(weights);
    expect(layer.forwardSync(random([3, 8])).shape).toEqual([3, 12]);
  });

  it('a failed opening throws its reason in calls that wait', () => {
    const layer = new Timesteps({ ...options, device: 'npu:5' });
    const open = { code: 507033, call: 'aclrtSetDevice', device: 5 };
    twin().inject({ ...open, nth: 1 });
    refused(() => layer.forwardSync([1, 2]), 'ERR_DEVICE_UNAVAILABLE', 'npu:5', '507033');
    twin().inject({ ...open, nth: 1 });
    refused(() => Tensor.zeros([4], { device: 'npu:5' }), 'ERR_DEVICE_UNAVAILABLE', '507033');
    expect(layer.forwardSync([1, 2]).shape).toEqual([2, 16]);
  });
});
