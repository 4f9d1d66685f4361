import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { deviceDiagnostics, memoryUsage, openDevice } from '../../lib/index.js';
import { rejected } from '../support/errors.js';
import { twin } from '../support/twin.js';
import { bitsOf, graphs, launched, replays, settle, subjects, type Make } from './replay.js';

// Failing captures switch capturing off on an NPU for good, so each of these tests uses an NPU of its own.

process.env.LATTE_TWIN_DEVICES = '8';
delete process.env.LATTE_TWIN_SOC;
delete process.env.LATTE_ASCEND_CAPTURE;
delete process.env.LATTE_ASCEND_KERNEL_BINARY;

const code = 507015;

afterEach(() => {
  twin().clearFaults();
  expect(twin().violations()).toEqual([]);
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
