import { setImmediate as immediate } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  CaptionProjection,
  CombinedTimestepSizeEmbeddings,
  LatteError,
  PatchEmbed,
  Tensor,
} from '../../lib/index.js';
import { combinedParameters, mlpParameters } from '../reference/layers.js';
import { patchEmbedWeights, randomWeights } from '../support/layers.js';
import { uniform } from '../support/random.js';
import { tensorOf } from '../support/tensors.js';
import { twin } from '../support/twin.js';

// Several forwards are on the stream when a task of one of them fails. That forward must be rejected; each
// other one must be rejected, or right to the last bit. By CANN's default a stream goes on after a failure,
// and events behind it complete without an error. A stream that stops on failure stops its whole context. A
// stream's mode is set when it is made, so a failure is needed before another mode applies.

const device = 'npu:0';
const code = 507015;
const inFlight = 5;

interface Work {
  /** Runs the forward with the i-th input. All inputs differ, so that no old result is right. */
  forward(i: number): Promise<Tensor>;
  dispose(): void;
}

const works: Record<string, () => Work> = {
  CaptionProjection: () => {
    const layer = new CaptionProjection({ inFeatures: 32, hiddenSize: 48, device });
    layer.loadStateDict(randomWeights(mlpParameters('', 32, 48, 48)));
    const captions = inputs('caption', [2, 5, 32]);
    return { forward: (i) => layer.forward(captions[i]!), dispose: () => layer.dispose() };
  },
  PatchEmbed: () => {
    const options = { height: 8, width: 8, patchSize: 2, inChannels: 4, embedDim: 64 };
    const layer = new PatchEmbed({ ...options, device, dtype: 'float16' });
    layer.loadStateDict(patchEmbedWeights(options, 'float16'));
    const latents = inputs('latent', [2, 4, 8, 8]);
    return { forward: (i) => layer.forward(latents[i]!), dispose: () => layer.dispose() };
  },
  // Later forwards are captured and replayed, if the device can do that.
  CombinedTimestepSizeEmbeddings: () => {
    const options = { embeddingDim: 48, sizeEmbDim: 16, useAdditionalConditions: false };
    const layer = new CombinedTimestepSizeEmbeddings({ ...options, device, dtype: 'float16' });
    layer.loadStateDict(randomWeights(combinedParameters('', options), 'float16'));
    return {
      forward: (i) => layer.forward({ timestep: [999 - 90 * i, 3 + i] }),
      dispose: () => layer.dispose(),
    };
  },
};

function inputs(name: string, shape: number[]): Tensor[] {
  const size = shape.reduce((product, dim) => product * dim, 1);
  return Array.from({ length: inFlight }, (_, i) =>
    tensorOf('float32', shape, uniform(`${name} ${i}`, size)),
  );
}

async function valuesOf(result: Tensor): Promise<string> {
  const host = await result.to('cpu');
  result.dispose();
  return Buffer.from(host.toFloat32Array().buffer).toString('base64');
}

/** How each forward ended: with its values, or with an error. */
async function together(work: Work): Promise<(string | LatteError)[]> {
  const promises = Array.from({ length: inFlight }, (_, i) => work.forward(i));
  const settled = await Promise.allSettled(promises);
  twin().clearFaults();
  const outcomes: (string | LatteError)[] = [];
  for (const outcome of settled) {
    if (outcome.status === 'fulfilled') outcomes.push(await valuesOf(outcome.value));
    else outcomes.push(outcome.reason as LatteError);
  }
  return outcomes;
}

/** Makes a forward fail, so that a new context and stream are made. */
async function renewContext(work: Work): Promise<void> {
  twin().inject({ call: 'launch', nth: 1, code, async: true });
  await expect(work.forward(0)).rejects.toMatchObject({ code: 'ERR_DEVICE', aclCode: code });
}

describe.each([
  ['stops on failure', true],
  ['goes on after a failure', false],
] as const)('on a stream that %s', (_, stops) => {
  describe.each(Object.keys(works))('%s', (name) => {
    let work: Work;
    let right: string[];
    let launches: number;
    let copies: number;

    beforeAll(async () => {
      work = works[name]!();
      twin().supportStopMode(stops);
      await renewContext(work);
      right = (await together(work)) as string[];
      await together(work);
      twin().reset();
      await valuesOf(await work.forward(0));
      launches = twin().counters().launches;
      copies = twin().counters().copies - 1; // the one back to the host is not the forward's
    });

    afterAll(async () => {
      twin().supportStopMode(true);
      await renewContext(work);
      work.dispose();
    });

    it('no two results are equal', () => {
      expect(new Set(right).size).toBe(inFlight);
      expect(launches).toBeGreaterThan(0);
    });

    // Either a task fails on the stream, or a call returns its failure at once. Each runs three times,
    // because other works are on the stream each time.
    it.each([
      ['a task', true],
      ['a task', true],
      ['a task', true],
      ['a call', false],
    ])(
      'rejects the forward of which %s fails, and resolves none with wrong values',
      async (_, async) => {
        const problems: string[] = [];
        let passed = 0;
        for (const [call, times] of [
          ['launch', launches],
          ['copy', copies],
        ] as const) {
          for (let nth = 1; nth <= times * inFlight; nth++) {
            twin().inject({ call, nth, code, async });
            const failing = Math.floor((nth - 1) / times);
            for (const [i, outcome] of (await together(work)).entries()) {
              const where = `${call} #${nth}: forward ${i}`;
              if (outcome === right[i]) {
                passed++;
                if (i === failing) problems.push(`${where} had failed, and resolved`);
              } else if (!(outcome instanceof LatteError)) {
                problems.push(`${where} resolved with wrong values`);
              } else if (outcome.code !== 'ERR_DEVICE' || outcome.aclCode !== code) {
                problems.push(`${where}: ${outcome.code} ${outcome.message}`);
              }
            }
            // The recovery keeps the weights, the pool and the executors working.
            const afterwards = await together(work);
            if (JSON.stringify(afterwards) !== JSON.stringify(right)) {
              problems.push(`${call} #${nth}: wrong afterwards`);
            }
          }
        }
        expect(problems).toEqual([]);
        expect(passed).toBeGreaterThan(0);
        expect(twin().violations()).toEqual([]);
      },
    );
  });
});

describe('a failure ends the context, but keeps the memory', () => {
  const timesOne = (values: number[]): Tensor => new Tensor('float32', values);

  it('tensors and memory of others keep their values', async () => {
    const work = works.CaptionProjection!();
    const mine = await timesOne([1, 2, 3]).to(device);
    const bytes = new Uint8Array(new Float32Array([4, 5, 6]).buffer);
    const { pointer, event } = twin().fillForeign(0, bytes);
    const theirs = Tensor.fromDevicePointer(pointer, 'float32', [3], device, { event });
    await renewContext(work);
    expect([...(await mine.to('cpu')).toFloat32Array()]).toEqual([1, 2, 3]);
    expect([...(await theirs.to('cpu')).toFloat32Array()]).toEqual([4, 5, 6]);
    for (const tensor of [mine, theirs]) tensor.dispose();
    twin().freeForeign();
    work.dispose();
  });

  it('what waits for the event of another party still waits on the new stream', async () => {
    const work = works.CaptionProjection!();
    await valuesOf(await work.forward(0));
    const bytes = new Uint8Array(new Float32Array([7, 8, 9]).buffer);
    // The work fails only after the wait for the event was put on the stream behind it.
    twin().reset();
    twin().inject({ call: 'launch', nth: 1, hangs: true });
    const failing = work.forward(0);
    while (twin().counters().calls.aclrtRecordEvent === undefined) await immediate();
    const { pointer, event } = twin().fillForeign(0, bytes);
    const theirs = Tensor.fromDevicePointer(pointer, 'float32', [3], device, { event });
    twin().clearFaults();
    await expect(failing).rejects.toMatchObject({ code: 'ERR_DEVICE', aclCode: 507014 });
    const values = await theirs.to('cpu');
    expect([...values.toFloat32Array()]).toEqual([7, 8, 9]);
    theirs.dispose();
    twin().freeForeign();
    work.dispose();
  });

  it('memory that is gone all the same is a lost device', async () => {
    const mine = await timesOne([1]).to('npu:1');
    twin().loseMemory(1);
    twin().inject({ call: 'copy', nth: 1, code, async: true, device: 1 });
    await expect(mine.to('cpu')).rejects.toMatchObject({
      code: 'ERR_DEVICE',
      aclCode: code,
      message: expect.stringContaining('did not survive') as string,
    });
    await expect(mine.to('cpu')).rejects.toMatchObject({ code: 'ERR_DEVICE', aclCode: code });
    mine.dispose();
  });
});
