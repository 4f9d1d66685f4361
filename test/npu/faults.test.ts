import { describe, expect, it } from 'vitest';
import { deviceDiagnostics, LatteError, type FloatDType } from '../../lib/index.js';
import { onTwin, twin, type Fault } from '../support/twin.js';
import { children } from '../support/child.js';
import { kinds, makeForward, toHost, type Forward } from './layers.js';

// Every call that a forward makes of CANN fails once: the promise must be rejected with the
// runtime's own code, nothing may leak, and the device must work afterwards.

const dtype: FloatDType = 'float16';
const code = 507011;

/** Runs a forward with a fault; gives what it was rejected with, if it was. */
async function withFault(forward: Forward, fault: Fault): Promise<LatteError | undefined> {
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

/** What the process holds of CANN's, in numbers of handles and bytes. */
function held(): Record<string, number> {
  const { liveHandles, liveDeviceBytes, liveHostBytes } = twin().counters();
  return { ...liveHandles, liveDeviceBytes, liveHostBytes };
}

async function settled(forward: Forward): Promise<Float32Array[]> {
  const values = await toHost(await forward.forward());
  // One more: what the first made anew is in its place.
  await toHost(await forward.forward());
  return values;
}

describe.skipIf(!onTwin)('every call that fails', () => {
  it.each(Object.keys(kinds))(
    'of %s rejects the promise and leaves a device that works',
    async (name) => {
      const forward = makeForward(name, dtype);
      const right = await settled(forward);
      // After an asynchronous failure all executors are made anew: begin as every round will end.
      await withFault(forward, { call: 'copy', nth: 1, code, async: true });
      await settled(forward);
      twin().reset();
      await toHost(await forward.forward());
      const { calls } = twin().counters();
      const before = held();
      const failures: string[] = [];
      let injected = 0;
      for (const [call, times] of Object.entries(calls)) {
        // Not calls that can fail a forward: they only say what went wrong, or give back.
        if (/aclGetRecentErrMsg|Destroy|Free/.test(call)) continue;
        // How often an event is asked for is a matter of time: the first is there in any case.
        const most = call === 'aclrtQueryEventStatus' ? 1 : times;
        for (let nth = 1; nth <= most; nth++) {
          injected++;
          const error = await withFault(forward, { call, nth, code });
          const what = `${call} #${nth}`;
          if (!(error instanceof LatteError)) failures.push(`${what}: not rejected`);
          else if (error.code !== 'ERR_DEVICE' || error.aclCode !== code || !error.operation) {
            failures.push(
              `${what}: ${error.code} ${error.aclCode} ${error.operation}: ${error.message}`,
            );
          }
          const values = await settled(forward);
          if (JSON.stringify(values) !== JSON.stringify(right))
            failures.push(`${what}: wrong afterwards`);
          const after = held();
          if (JSON.stringify(after) !== JSON.stringify(before)) {
            failures.push(`${what}: ${JSON.stringify(before)} became ${JSON.stringify(after)}`);
          }
        }
      }
      expect(failures).toEqual([]);
      expect(injected).toBeGreaterThan(5);
      expect(twin().violations()).toEqual([]);
      forward.dispose();
    },
  );

  it.each(Object.keys(kinds))('of %s asynchronously, too', async (name) => {
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
        const error = await withFault(forward, { call, nth, code, async: true });
        if (error?.code !== 'ERR_DEVICE' || error.aclCode !== code) {
          failures.push(`${call} #${nth}: ${error?.code} ${error?.message}`);
        }
        const values = await settled(forward);
        if (JSON.stringify(values) !== JSON.stringify(right))
          failures.push(`${call} #${nth}: wrong afterwards`);
      }
    }
    expect(failures).toEqual([]);
    expect(twin().violations()).toEqual([]);
    forward.dispose();
  });
});

describe.skipIf(!onTwin)('no memory left', () => {
  it('empties the pool and tries once more, then says so', async () => {
    const forward = makeForward('CaptionProjection', dtype);
    await settled(forward);
    const first = await withFault(forward, { call: 'aclrtMalloc', nth: 1, code: 207001 });
    // In the steady state nothing is allocated, so nothing failed.
    expect(first).toBeUndefined();
    expect(deviceDiagnostics().npu.available).toBe(true);
    forward.dispose();
  });
});

const { run } = children();

describe.skipIf(!onTwin)('a device that is lost', () => {
  it('fails what waits and what comes, and the process lives on', async () => {
    const ended = await run('test/npu/fixtures/lost-device');
    expect(ended.stderr).toBe('');
    expect(ended.status).toBe(0);
    expect(JSON.parse(ended.stdout)).toEqual({
      waiting: Array<string>(8).fill('ERR_DEVICE 507010'),
      afterwards: 'ERR_DEVICE 507010',
      other: 'works',
      cpu: 'works',
    });
  });
});
