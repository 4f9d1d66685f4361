import { describe, expect, it } from 'vitest';
import { LatteError, Timesteps, deviceDiagnostics, type FloatDType } from '../../lib/index.js';
import { twin, type Fault } from '../support/twin.js';
import { children } from '../support/child.js';
import { kinds, launchesAllocate, makeForward, toHost, type Forward } from './layers.js';

// Each call that a forward makes of CANN fails once. The promise must be rejected with the runtime's own
// code, nothing may leak, and the device must work afterwards.

const dtype: FloatDType = 'float16';
const code = 507011;
/** The code of calls that return null instead of a code: "invalid parameter". */
const nullCode = 107000;

/** Runs a forward with a fault; resolves to its error, if it was rejected. */
async function withFault(
  forward: Pick<Forward, 'forward'>,
  fault: Fault,
): Promise<LatteError | undefined> {
  twin().inject(fault);
  try {
    await toHost(await forward.forward());
    return undefined;
  } catch (error) {
    return error as LatteError;
  } finally {
    twin().clearFaults();
  }
}

function maxDifference(a: Float32Array, b: Float32Array): number {
  expect(a.length).toBe(b.length);
  return a.reduce((most, value, i) => Math.max(most, Math.abs(value - b[i]!)), 0);
}

/** The numbers of handles and bytes of CANN that the process holds. */
function held(): Record<string, number> {
  const { liveHandles, liveDeviceBytes, liveHostBytes } = twin().counters();
  return { ...liveHandles, liveDeviceBytes, liveHostBytes };
}

async function settled(forward: Forward): Promise<Float32Array[]> {
  const values = await toHost(await forward.forward());
  // The first forward makes objects anew, the second uses them and is captured, the third is a replay. A
  // successful replay also resets the device's count of failures.
  for (let i = 0; i < 2; i++) await toHost(await forward.forward());
  return values;
}

/** Makes a forward fail asynchronously, so that all executors and constants are made anew. */
async function forget(forward: Forward): Promise<void> {
  await withFault(forward, { call: 'copy', nth: 1, code, async: true });
}

/** Every call of a forward that can fail it: the function, and the number of the call. */
async function callsOf(forward: Forward): Promise<[string, number][]> {
  twin().reset();
  await toHost(await forward.forward());
  return Object.entries(twin().counters().calls).flatMap(([call, times]) => {
    // Leaves out calls that only report an error or free something.
    if (/aclGetRecentErrMsg|Destroy|Free/.test(call)) return [];
    // The number of queries of an event depends on timing, but there is always a first one. A failed
    // aclSetAclOpExecutorRepeatable is no failure: the executor then runs once, as most do.
    if (call === 'aclSetAclOpExecutorRepeatable') return [];
    if (call === 'aclrtMalloc' && launchesAllocate()) return [];
    const most = call === 'aclrtQueryEventStatus' ? 1 : times;
    return Array.from({ length: most }, (_, i): [string, number] => [call, i + 1]);
  });
}

function problemOf(error: LatteError | undefined, call: string): string | undefined {
  if (!(error instanceof LatteError)) return 'not rejected';
  const expected = call.startsWith('aclCreate') ? nullCode : code;
  if (error.code === 'ERR_DEVICE' && error.aclCode === expected && error.operation)
    return undefined;
  return `${error.code} ${error.aclCode} ${error.operation}: ${error.message}`;
}

/** Makes each call fail in turn; returns the problems as texts. */
async function failEach(forward: Forward, anew: boolean): Promise<[string[], number]> {
  const right = await settled(forward);
  await forget(forward);
  if (!anew) await settled(forward);
  const calls = await callsOf(forward);
  await settled(forward);
  const before = held();
  const failures: string[] = [];
  for (const [call, nth] of calls) {
    if (anew) await forget(forward);
    const problem = problemOf(await withFault(forward, { call, nth, code }), call);
    if (problem !== undefined) failures.push(`${call} #${nth}: ${problem}`);
    const values = await settled(forward);
    if (JSON.stringify(values) !== JSON.stringify(right)) {
      failures.push(`${call} #${nth}: wrong afterwards`);
    }
    if (JSON.stringify(held()) !== JSON.stringify(before)) {
      failures.push(`${call} #${nth}: ${JSON.stringify(before)} became ${JSON.stringify(held())}`);
    }
  }
  return [failures, calls.length];
}

describe.each(Object.keys(kinds))('every call of %s that fails', (name) => {
  it('rejects the promise and leaves a device that works', async () => {
    const forward = makeForward(name, dtype);
    const [failures, injected] = await failEach(forward, false);
    expect(failures).toEqual([]);
    expect(injected).toBeGreaterThan(5);
    forward.dispose();
  });

  it('does so if everything is made anew', async () => {
    const forward = makeForward(name, dtype);
    const [failures, injected] = await failEach(forward, true);
    expect(failures).toEqual([]);
    expect(injected).toBeGreaterThan(5);
    forward.dispose();
  });

  it('does so asynchronously, too', async () => {
    const forward = makeForward(name, dtype);
    const right = await settled(forward);
    twin().reset();
    await toHost(await forward.forward());
    const { launches, copies } = twin().counters();
    const failures: string[] = [];
    for (const [call, times] of [
      ['launch', launches],
      ['copy', copies],
    ] as const) {
      for (let nth = 1; nth <= times; nth++) {
        const problem = problemOf(await withFault(forward, { call, nth, code, async: true }), call);
        if (problem !== undefined) failures.push(`${call} #${nth}: ${problem}`);
        const values = await settled(forward);
        if (JSON.stringify(values) !== JSON.stringify(right))
          failures.push(`${call} #${nth}: wrong afterwards`);
      }
    }
    expect(failures).toEqual([]);
    forward.dispose();
  });
});

describe('a constant that did not arrive', () => {
  it.each([1, 2])('is copied again: copy #%i of the first forward fails', async (nth) => {
    // The first forward with these frequencies copies them to the device.
    const options = { numChannels: 310 + 2 * nth, flipSinToCos: true, downscaleFreqShift: 0 };
    const timesteps = [1, 50.5, 999];
    const layer = new Timesteps({ ...options, device: 'npu:0' });
    const forward = { forward: async () => [await layer.forward(timesteps)] };
    const error = await withFault(forward, { call: 'copy', nth, code, async: true });
    expect(error).toMatchObject({ code: 'ERR_DEVICE', aclCode: code });
    const [values] = await toHost(await forward.forward());
    const right = new Timesteps({ ...options, device: 'cpu' }).forwardSync(timesteps);
    expect(maxDifference(values!, right.toFloat32Array())).toBeLessThan(1e-4);
    layer.dispose();
  });
});

const { run } = children();

describe('a device that is lost', () => {
  it.each(['CaptionProjection', 'TimestepEmbedding'] as const)(
    'fails waiting and later works, and the process goes on: %s',
    async (name) => {
      const ended = await run('test/npu/fixtures/lost-device', { args: [name] });
      expect(ended.stderr).toBe('');
      expect(ended.status).toBe(0);
      expect(JSON.parse(ended.stdout)).toEqual({
        // If forwards are captured, a replayed forward has a graph.
        graphs: Number(name === 'TimestepEmbedding' && deviceDiagnostics().npu.captures),
        waiting: Array<string>(8).fill('ERR_DEVICE 507010'),
        afterwards: 'ERR_DEVICE 507010',
        other: 'works',
        cpu: 'works',
      });
    },
  );
});
