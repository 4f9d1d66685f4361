import { afterAll, afterEach, describe, expect, it } from 'vitest';
import {
  AdaLayerNormSingle,
  CombinedTimestepSizeEmbeddings,
  Tensor,
  TimestepEmbedding,
  deviceDiagnostics,
  memoryUsage,
  openDevice,
  type FloatDType,
} from '../../lib/index.js';
import * as reference from '../reference/layers.js';
import { rejected } from '../support/errors.js';
import { randomWeights } from '../support/layers.js';
import { uniform } from '../support/random.js';
import { hostBits, tensorOf } from '../support/tensors.js';
import { twin } from '../support/twin.js';

// The timestep path is captured after its second forward and replayed from the third on. A replay gives the
// same bits as the launches. Failing captures switch capturing off on an NPU for good, so these tests use
// NPUs of their own.

process.env.LATTE_TWIN_DEVICES = '8';
delete process.env.LATTE_TWIN_SOC;
delete process.env.LATTE_ASCEND_CAPTURE;
delete process.env.LATTE_ASCEND_KERNEL_BINARY;

const code = 507015;
const combined = { embeddingDim: 48, sizeEmbDim: 16, useAdditionalConditions: true };

interface Subject {
  /** Runs the forward with the i-th input, of `batch` samples. */
  forward(i: number, batch?: number): Promise<Tensor[]>;
  /** Loads the random weights of another seed. */
  load(seed: string): void;
  dispose(): void;
}

type Make = (dtype: FloatDType, device?: string) => Subject;

function weights(parameters: [string, number[]][], dtype: FloatDType, seed: string) {
  const state = randomWeights(parameters, dtype);
  if (seed === '') return state;
  return Object.fromEntries(
    Object.entries(state).map(([name, { shape, size }]) => [
      name,
      tensorOf(dtype, shape, uniform(`${seed} ${name}`, size)),
    ]),
  );
}

function conditions(i: number, batch: number) {
  const each = (of: (b: number) => number) => Array.from({ length: batch }, (_, b) => of(b));
  return {
    timestep: each((b) => 999 - 7 * i - b),
    resolution: tensorOf('float32', [batch, 2], [...each(() => 512 + i), ...each((b) => 64 * b)]),
    aspectRatio: tensorOf(
      'float32',
      [batch, 1],
      each((b) => 1 / (1 + b + i)),
    ),
  };
}

const subjects: Record<string, Make> = {
  TimestepEmbedding: (dtype, device = 'npu:0') => {
    const layer = new TimestepEmbedding({ inChannels: 32, timeEmbedDim: 48, device, dtype });
    const load = (seed: string) =>
      layer.loadStateDict(weights(reference.mlpParameters('', 32, 48, 48), dtype, seed));
    load('');
    return {
      ...{ load, dispose: () => layer.dispose() },
      forward: async (i, batch = 2) => [
        await layer.forward(tensorOf(dtype, [batch, 32], uniform(`sample ${i}`, batch * 32))),
      ],
    };
  },
  'Combined without sizes': (dtype, device = 'npu:0') => {
    const options = { ...combined, useAdditionalConditions: false };
    const layer = new CombinedTimestepSizeEmbeddings({ ...options, device, dtype });
    const load = (seed: string) =>
      layer.loadStateDict(weights(reference.combinedParameters('', options), dtype, seed));
    load('');
    return {
      ...{ load, dispose: () => layer.dispose() },
      forward: async (i, batch = 2) => [
        await layer.forward({ timestep: conditions(i, batch).timestep }),
      ],
    };
  },
  'Combined with sizes': (dtype, device = 'npu:0') => {
    const layer = new CombinedTimestepSizeEmbeddings({ ...combined, device, dtype });
    const load = (seed: string) =>
      layer.loadStateDict(weights(reference.combinedParameters('', combined), dtype, seed));
    load('');
    return {
      ...{ load, dispose: () => layer.dispose() },
      forward: async (i, batch = 2) => [await layer.forward(conditions(i, batch))],
    };
  },
  AdaLayerNormSingle: (dtype, device = 'npu:0') => {
    const options = { embeddingDim: 48, useAdditionalConditions: true };
    const layer = new AdaLayerNormSingle({ ...options, device, dtype });
    const parameters: [string, number[]][] = [
      ...reference.combinedParameters('emb.', combined),
      ['linear.weight', [288, 48]],
      ['linear.bias', [288]],
    ];
    const load = (seed: string) => layer.loadStateDict(weights(parameters, dtype, seed));
    load('');
    return {
      ...{ load, dispose: () => layer.dispose() },
      forward: async (i, batch = 2) => {
        const { modulation, embeddedTimestep } = await layer.forward(conditions(i, batch));
        return [modulation, embeddedTimestep];
      },
    };
  },
};

async function bitsOf(results: Tensor[]): Promise<string> {
  const bits: string[] = [];
  for (const result of results) {
    bits.push(Buffer.from(await hostBits(result)).toString('base64'));
    result.dispose();
  }
  return bits.join();
}

/** The result of the i-th input from launches: the first forward of a new layer. */
async function launched(make: Make, dtype: FloatDType, i: number, batch = 2, seed = '') {
  const subject = make(dtype);
  if (seed !== '') subject.load(seed);
  const bits = await bitsOf(await subject.forward(i, batch));
  subject.dispose();
  return bits;
}

function replays(): number {
  return twin().counters().launchesByName.aclmdlRIExecuteAsync ?? 0;
}

function graphs(): number {
  return twin().counters().liveHandles.graph!;
}

/** Runs a forward so often that it is captured and then replayed. */
async function settle(subject: Subject, batch = 2): Promise<void> {
  for (let i = 0; i < 3; i++) await bitsOf(await subject.forward(i, batch));
}

const combined16 = () => subjects['Combined with sizes']!('float16');

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

describe('a replay that fails', () => {
  const make: Make = (dtype) => subjects['Combined with sizes']!(dtype, 'npu:2');

  it('rejects its forward; the next ones are launched, captured and replayed anew', async () => {
    const subject = make('float16');
    const right = await bitsOf(await subject.forward(4));
    await settle(subject);
    for (const async of [false, true]) {
      twin().inject({ call: 'aclmdlRIExecuteAsync', nth: 1, code, async });
      await rejected(() => subject.forward(4), 'ERR_DEVICE', String(code));
      for (let i = 0; i < 4; i++) expect(await bitsOf(await subject.forward(4))).toBe(right);
    }
    twin().reset();
    expect(await bitsOf(await subject.forward(4))).toBe(right);
    expect(replays()).toBe(1);
    subject.dispose();
  });

  it('three times without a success between them: nothing is replayed any more', async () => {
    const subject = make('float16');
    const right = await bitsOf(await subject.forward(4));
    for (let failure = 0; failure < 3; failure++) {
      for (let i = 0; i < 2; i++) expect(await bitsOf(await subject.forward(4))).toBe(right);
      twin().inject({ call: 'aclmdlRIExecuteAsync', nth: 1, code, async: true });
      await rejected(() => subject.forward(4), 'ERR_DEVICE', String(code));
    }
    twin().reset();
    for (let i = 0; i < 4; i++) expect(await bitsOf(await subject.forward(4))).toBe(right);
    expect(replays()).toBe(0);
    const { captures, captureReason } = deviceDiagnostics().npu;
    expect(captures).toBe(false);
    expect(captureReason).toMatch(/^not any more: a context failed/);
    subject.dispose();
  });
});

describe('a capture that fails', () => {
  it('rejects no forward; after three failures nothing is captured any more', async () => {
    const make: Make = (dtype) => subjects['Combined with sizes']!(dtype, 'npu:3');
    const calls = [
      ['aclmdlRICaptureBegin', 1],
      ['aclmdlRICaptureEnd', 1],
      // The launches of the forward itself come before those that are captured.
      ['launch', 6],
    ] as const;
    const sound = make('float16');
    await settle(sound);
    const before = [graphs(), memoryUsage({ device: 'npu:3' }).live];
    for (const [n, [call, nth]] of calls.entries()) {
      const subject = make('float16');
      const right = await bitsOf(await subject.forward(4));
      twin().reset();
      twin().inject({ call, nth, code });
      expect(await bitsOf(await subject.forward(4))).toBe(right);
      expect(twin().clearFaults()).toBe(0);
      expect(twin().counters().calls.aclmdlRICaptureBegin).toBe(1);
      twin().reset();
      for (let i = 0; i < 2; i++) expect(await bitsOf(await subject.forward(4))).toBe(right);
      expect(replays()).toBe(0);
      const { captures, captureReason } = deviceDiagnostics().npu;
      expect([captures, captureReason]).toEqual([
        n < 2,
        expect.stringMatching(n < 2 ? /^not always: .*507015/ : /^not any more: .*507015/),
      ]);
      subject.dispose();
      if (n < 2) {
        await bitsOf(await make('float16').forward(0));
        expect(graphs()).toBe(before[0]);
      }
    }
    // Graphs that were captured before are not replayed, either.
    twin().reset();
    await bitsOf(await sound.forward(0));
    expect(replays()).toBe(0);
    expect(graphs()).toBe(before[0]! - 1);
    sound.dispose();
  });
});

describe('the trial at opening leaves capturing off', () => {
  afterAll(() => {
    for (const name of ['LATTE_TWIN_CAPTURE', 'LATTE_ASCEND_CAPTURE', 'LATTE_ASCEND_TRIAL_MS']) {
      delete process.env[name];
    }
  });

  // In ascending order, because the diagnostics are those of the last NPU.
  it.each<[string, string, () => void, RegExp]>([
    [
      'npu:4',
      'where streams cannot be captured',
      () => (process.env.LATTE_TWIN_CAPTURE = '0'),
      /207000/,
    ],
    [
      'npu:5',
      'where a replay differs',
      () => (process.env.LATTE_TWIN_CAPTURE = 'differs'),
      /computes something else/,
    ],
    [
      'npu:6',
      'where a replay hangs',
      () => {
        delete process.env.LATTE_TWIN_CAPTURE;
        process.env.LATTE_ASCEND_TRIAL_MS = '2000';
        twin().inject({ call: 'aclmdlRIExecuteAsync', nth: 1, hangs: true, device: 6 });
      },
      /did not end within 2000 ms/,
    ],
    [
      'npu:7',
      'that is switched off',
      () => (process.env.LATTE_ASCEND_CAPTURE = '0'),
      /LATTE_ASCEND_CAPTURE=0/,
    ],
  ])('of %s, %s', async (device, _, prepare, reason) => {
    const make: Make = (dtype) => subjects['Combined with sizes']!(dtype, device);
    prepare();
    await openDevice(device);
    const { captures, captureReason } = deviceDiagnostics().npu;
    expect(captures).toBe(false);
    expect(captureReason).toMatch(reason);
    twin().clearFaults();
    const subject = make('float16');
    twin().reset();
    for (const i of [0, 1, 2, 3]) {
      expect(await bitsOf(await subject.forward(i))).toBe(
        await launched(subjects['Combined with sizes']!, 'float16', i),
      );
    }
    expect(replays()).toBe(0);
    subject.dispose();
  });
});
