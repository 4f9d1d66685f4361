import type { LatteEmbeddings } from 'latte-embeddings';
import { LatteError } from 'latte-embeddings';
import { expect, test } from 'vitest';
import type { Job, Model } from '../lib/models/model.js';
import type { WireTensor } from '../lib/protocol/tensor.js';
import { Scheduler, type SchedulerOptions } from '../lib/scheduler/scheduler.js';
import { until } from './support/server.js';

// Tests the scheduler with a fake model, whose runs end when the test resolves them.

interface Run {
  readonly jobs: readonly Job[];
  readonly signal: AbortSignal;
  end(): void;
  fail(reason: unknown): void;
}

class TestModel implements Model {
  readonly name = 'test';
  readonly inputs = [];
  readonly outputs = [];
  readonly runs: Run[] = [];

  plan(): Job {
    return this.job();
  }

  job(batchKey: string | undefined = 'a', rows = 1): Job {
    return { model: this, inputs: new Map(), wanted: new Set(), rows, bytes: 0, batchKey };
  }

  async run(
    _: LatteEmbeddings,
    jobs: readonly Job[],
    signal: AbortSignal,
  ): Promise<WireTensor[][]> {
    return new Promise((resolve, reject) => {
      this.runs.push({ jobs, signal, end: () => resolve(jobs.map(() => [])), fail: reject });
    });
  }
}

const defaults: SchedulerOptions = {
  queueLimit: 8,
  runsPerDevice: 1,
  batchOn: ['cpu', 'npu'],
  batchWaitMs: 0,
  maxBatch: 4,
  maxBatchRows: 100,
};

const replicas = new Map<string, LatteEmbeddings>();
const noSignal = new AbortController().signal;

function setUp(
  devices: string[],
  options: Partial<SchedulerOptions> = {},
  testDevice: (device: string) => Promise<void> = async () => {},
): { scheduler: Scheduler; model: TestModel; lost: string[]; submit: typeof submit } {
  const lost: string[] = [];
  const scheduler = new Scheduler(
    devices,
    { ...defaults, ...options },
    { onRun: () => {}, testDevice, onDeviceLost: (device) => lost.push(device) },
  );
  const model = new TestModel();
  const submit = async (
    job: Job,
    { signal = noSignal, timeoutMs = 60_000 } = {},
  ): Promise<{ device: string; batch: number }> =>
    scheduler.submit({ job, replicas, signal, timeoutMs });
  return { scheduler, model, lost, submit };
}

test('requests that wait while a device is busy share its next run, up to the limits', async () => {
  const { model, submit } = setUp(['cpu']);
  const first = submit(model.job());
  const others = [1, 2, 3, 4, 5].map(() => submit(model.job()));
  const big = submit(model.job('a', 99));
  const alone = submit(model.job(undefined));
  const other = submit(model.job('b'));
  const sizes: number[] = [];
  for (let i = 0; i < 5; i++) {
    await until(() => model.runs.length > i);
    sizes.push(model.runs[i]!.jobs.length);
    model.runs[i]!.end();
  }
  await Promise.all([first, ...others, big, alone, other]);
  // The runs: one request; four; the fifth and the large one, 100 rows in all; one that must not share;
  // another key.
  expect(sizes).toEqual([1, 4, 2, 1, 1]);
});

test('a device without batching takes one after the other', async () => {
  const { model, submit } = setUp(['npu:0'], { batchOn: ['cpu'] });
  const all = [1, 2, 3].map(() => submit(model.job()));
  for (let i = 0; i < 3; i++) {
    await until(() => model.runs.length > i);
    expect(model.runs[i]!.jobs).toHaveLength(1);
    model.runs[i]!.end();
  }
  await Promise.all(all);
});

test('a request waits at most batchWaitMs for others, or until the batch is full', async () => {
  const { model, submit } = setUp(['cpu'], { batchWaitMs: 60_000 });
  const all = [1, 2, 3].map(() => submit(model.job()));
  await new Promise((resolve) => setImmediate(resolve));
  expect(model.runs).toHaveLength(0);
  all.push(submit(model.job()));
  await until(() => model.runs.length === 1);
  expect(model.runs[0]!.jobs).toHaveLength(4);
  model.runs[0]!.end();
  await Promise.all(all);

  const soon = setUp(['cpu'], { batchWaitMs: 1 });
  const one = soon.submit(soon.model.job());
  await until(() => soon.model.runs.length === 1);
  soon.model.runs[0]!.end();
  await one;
});

test('a full queue refuses', async () => {
  const { model, submit, scheduler } = setUp(['cpu'], { queueLimit: 2 });
  const taken = [submit(model.job()), submit(model.job('b')), submit(model.job('c'))];
  await expect(submit(model.job())).rejects.toMatchObject({ kind: 'busy' });
  expect(scheduler.queued).toBe(2);
  for (let i = 0; i < 3; i++) {
    await until(() => model.runs.length > i);
    model.runs[i]!.end();
  }
  await Promise.all(taken);
});

test('devices take turns', async () => {
  const { model, submit } = setUp(['npu:0', 'npu:1', 'npu:2'], { runsPerDevice: 2 });
  const devices: string[] = [];
  for (let i = 0; i < 6; i++) {
    const one = submit(model.job(undefined));
    await until(() => model.runs.length > i);
    model.runs[i]!.end();
    devices.push((await one).device);
  }
  expect(devices).toEqual(['npu:0', 'npu:1', 'npu:2', 'npu:0', 'npu:1', 'npu:2']);
  // Both devices also run at the same time.
  const all = [1, 2, 3].map(() => submit(model.job(undefined)));
  await until(() => model.runs.length === 9);
  for (const run of model.runs.slice(6)) run.end();
  expect(new Set((await Promise.all(all)).map(({ device }) => device)).size).toBe(3);
});

test('a deadline in the queue lets another request in; in a run it aborts', async () => {
  const { model, submit, scheduler } = setUp(['cpu']);
  const running = submit(model.job(), { timeoutMs: 20 });
  const waiting = submit(model.job('b'), { timeoutMs: 10 });
  await expect(waiting).rejects.toMatchObject({ kind: 'deadline' });
  expect(scheduler.queued).toBe(0);
  await expect(running).rejects.toMatchObject({ kind: 'deadline' });
  expect(model.runs[0]!.signal.aborted).toBe(true);
  expect(model.runs).toHaveLength(1);
  model.runs[0]!.fail(new LatteError('ERR_ABORTED', 'aborted'));
  await until(() => scheduler.running === 0);
});

test('a run is aborted when nobody waits for any of its requests', async () => {
  const { model, submit } = setUp(['cpu'], { batchWaitMs: 60_000, maxBatch: 2 });
  const [one, two] = [new AbortController(), new AbortController()];
  const first = submit(model.job(), { signal: one.signal });
  const second = submit(model.job(), { signal: two.signal });
  await until(() => model.runs.length === 1);
  one.abort();
  await expect(first).rejects.toMatchObject({ kind: 'cancelled' });
  expect(model.runs[0]!.signal.aborted).toBe(false);
  two.abort();
  await expect(second).rejects.toMatchObject({ kind: 'cancelled' });
  expect(model.runs[0]!.signal.aborted).toBe(true);
  model.runs[0]!.fail(new LatteError('ERR_ABORTED', 'aborted'));
});

test('the error of one request of a batch does not reach the others', async () => {
  const { model, submit } = setUp(['cpu'], { batchWaitMs: 60_000, maxBatch: 2 });
  const all = [submit(model.job()), submit(model.job())];
  const ended = Promise.allSettled(all);
  await until(() => model.runs.length === 1);
  model.runs[0]!.fail(new LatteError('ERR_SHAPE', 'one of them'));
  await until(() => model.runs.length === 2);
  expect(model.runs[1]!.jobs).toHaveLength(1);
  model.runs[1]!.fail(new LatteError('ERR_SHAPE', 'this one'));
  await until(() => model.runs.length === 3);
  model.runs[2]!.end();
  expect(await ended).toMatchObject([
    { status: 'rejected', reason: { kind: 'invalid', message: 'this one' } },
    { status: 'fulfilled' },
  ]);
});

test('a device whose test fails takes no more runs; without any, requests are refused', async () => {
  let isGood = true;
  const { model, submit, lost, scheduler } = setUp(['npu:0', 'npu:1'], {}, async () => {
    if (!isGood) throw new Error('no answer');
  });
  const run = async (): Promise<unknown> => {
    const count = model.runs.length;
    const one = submit(model.job(undefined)).catch((reason: unknown) => reason);
    await until(() => model.runs.length > count);
    model.runs[count]!.fail(new LatteError('ERR_DEVICE', 'a call failed'));
    const reason = await one;
    await until(() => scheduler.running === 0);
    return reason;
  };
  expect(await run()).toMatchObject({ kind: 'unavailable' });
  expect(lost).toEqual([]);
  isGood = false;
  await run();
  await run();
  expect(lost).toEqual(['npu:1', 'npu:0']);
  expect(scheduler.usable).toBe(false);
  await expect(submit(model.job())).rejects.toMatchObject({ kind: 'unavailable' });
});

test('drain completes waiting and running requests, and refuses new ones', async () => {
  const { model, submit, scheduler } = setUp(['cpu'], { batchWaitMs: 60_000 });
  const waiting = submit(model.job());
  let isDrained = false;
  const drained = scheduler.drain().then(() => (isDrained = true));
  await expect(submit(model.job())).rejects.toMatchObject({ kind: 'unavailable' });
  await until(() => model.runs.length === 1);
  expect(isDrained).toBe(false);
  model.runs[0]!.end();
  await waiting;
  await drained;
});
