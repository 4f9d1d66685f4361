import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { LatteEmbeddings, memoryUsage, Tensor } from '../../lib/index.js';
import { rejected, refused } from '../support/errors.js';
import { goldenFolder } from '../support/golden.js';
import { hostBits, tensorOf, valuesOf } from '../support/tensors.js';

const golden = join(goldenFolder, 'checkpoints');

describe('embedLatent', () => {
  it('reads the frames of a video where they lie: as if each were an image', async () => {
    const latte = await LatteEmbeddings.fromPretrained(join(golden, 'latte'));
    const [b, c, f, h, w] = [2, 4, 3, 8, 8] as const;
    const video = Float64Array.from(
      { length: b * c * f * h * w },
      (_, i) => ((i * 37) % 101) / 50 - 1,
    );
    const images = new Float64Array(video.length);
    for (let i = 0; i < b; i++)
      for (let j = 0; j < c; j++)
        for (let k = 0; k < f; k++) {
          const from = ((i * c + j) * f + k) * h * w;
          images.set(video.subarray(from, from + h * w), ((i * f + k) * c + j) * h * w);
        }
    const one = await latte.embedLatent(tensorOf('float32', [b, c, f, h, w], video));
    const other = await latte.embedLatent(tensorOf('float32', [b * f, c, h, w], images));
    expect(one.shape).toEqual([b * f, 16, 48]);
    expect(await hostBits(one)).toEqual(await hostBits(other));
    const out = Tensor.zeros([b * f, 16, 48], { device: one.device });
    expect(await latte.embedLatent(tensorOf('float32', [b, c, f, h, w], video), { out })).toBe(out);
    expect(await hostBits(out)).toEqual(await hostBits(one));
    await rejected(() => latte.embedLatent(Tensor.zeros([4, 8, 8])), 'ERR_SHAPE', '[4, 8, 8]');
    await rejected(
      () => latte.embedLatent(Tensor.zeros([1, 4, 8, 8]), { signal: AbortSignal.abort() }),
      'ERR_ABORTED',
    );
    latte.dispose();
  });
});

describe('tempPosEmbed', () => {
  it('gives the first rows, or zeros beyond the last, in the dtype of the table', async () => {
    for (const [name, dtype] of [
      ['latte', 'float32'],
      ['latte_mindone_train', 'float16'],
    ] as const) {
      const latte = await LatteEmbeddings.fromPretrained(join(golden, name), { dtype: 'float32' });
      const all = valuesOf(await latte.tempPosEmbed().to('cpu'));
      for (const frames of [0, 1, 15, 16, 17, 40]) {
        const table = latte.tempPosEmbed(frames);
        expect([table.dtype, table.shape]).toEqual([dtype, [1, frames, 48]]);
        const expected = new Float64Array(frames * 48);
        expected.set(all.subarray(0, Math.min(frames, 16) * 48));
        expect(valuesOf(await table.to('cpu'))).toEqual(expected);
        table.dispose();
      }
      for (const frames of [-1, 1.5, NaN, '3', null]) {
        refused(() => latte.tempPosEmbed(frames as number), 'ERR_VALUE', 'frames');
      }
      latte.dispose();
    }
  });
});

describe('prepare', () => {
  const caption = tensorOf(
    'float32',
    [2, 3, 32],
    Float64Array.from({ length: 192 }, (_, i) => Math.sin(i)),
  );

  it('equals the results of the layers, step by step', async () => {
    const latte = await LatteEmbeddings.fromPretrained(join(golden, 'latte'));
    const timesteps = [999, 500.5, -3, 0];
    const plan = await latte.prepare({ timesteps, caption });
    expect(plan.timesteps).toEqual(timesteps);
    expect(await hostBits(plan.encoderHiddenStates)).toEqual(
      await hostBits(await latte.captionProjection!.forward(caption)),
    );
    for (const [i, t] of timesteps.entries()) {
      const { modulation, embeddedTimestep } = await latte.adaLayerNormSingle.forward({
        timestep: [t, t],
      });
      expect(await hostBits(plan.step(i).modulation)).toEqual(await hostBits(modulation));
      expect(await hostBits(plan.step(i).embeddedTimestep)).toEqual(
        await hostBits(embeddedTimestep),
      );
      expect(plan.step(i)).toBe(plan.step(i));
    }
    latte.dispose();
    expect(plan.step(0).modulation.shape).toEqual([2, 288]);
    plan.dispose();
  });

  it('gives the same bits with more rows than an NPU takes in one product, and with none', async () => {
    using latte = await LatteEmbeddings.fromPretrained(join(golden, 'pixart'), {
      dtype: 'float32',
    });
    const timesteps = Array.from({ length: 90 }, (_, i) => 999 - 11 * i);
    const resolution = tensorOf('float32', [2, 2], [512, 768, 1024, 256]);
    const sizes = { resolution, aspectRatio: tensorOf('float32', [1], [1.5]) };
    using plan = await latte.prepare({ timesteps, caption, ...sizes, batchSize: 4 });
    const all = await latte.adaLayerNormSingle.forward({
      timestep: timesteps.flatMap((t) => [t, t, t, t]),
      ...sizes,
      batchSize: 360,
    });
    const steps = await Promise.all(timesteps.map((_, i) => hostBits(plan.step(i).modulation)));
    expect(Buffer.concat(steps).equals(await hostBits(all.modulation))).toBe(true);
    using none = await latte.prepare({ timesteps: [7, 800], caption, ...sizes, batchSize: 0 });
    expect(none.step(1).modulation.shape).toEqual([0, 288]);
  });

  it('equals the results of the layers with size conditions, tiled over the batch', async () => {
    const latte = await LatteEmbeddings.fromPretrained(join(golden, 'pixart'), {
      dtype: 'float32',
    });
    const timesteps = [7, 800];
    const resolution = tensorOf('float32', [2, 2], [512, 768, 1024, 256]);
    const aspectRatio = tensorOf('float32', [1], [1.5]);
    const plan = await latte.prepare({ timesteps, caption, resolution, aspectRatio, batchSize: 4 });
    for (const [i, t] of timesteps.entries()) {
      const expected = await latte.adaLayerNormSingle.forward({
        timestep: [t, t, t, t],
        resolution,
        aspectRatio,
        batchSize: 4,
      });
      expect(plan.step(i).modulation.shape).toEqual([4, 288]);
      expect(await hostBits(plan.step(i).modulation)).toEqual(await hostBits(expected.modulation));
      expect(await hostBits(plan.step(i).embeddedTimestep)).toEqual(
        await hostBits(expected.embeddedTimestep),
      );
    }
    // One row of sizes is enough for all timesteps, and one caption for all rows of its step.
    const one = tensorOf('float32', [1, 2], [512, 768]);
    const single = await latte.prepare({
      timesteps: [7, 800, 3],
      caption: tensorOf('float32', [1, 1, 32], new Float64Array(32)),
      resolution: one,
      aspectRatio,
    });
    const together = await latte.adaLayerNormSingle.forward({
      timestep: [7, 800, 3],
      resolution: one,
      aspectRatio,
      batchSize: 1,
    });
    expect(together.modulation.shape).toEqual([3, 288]);
    const steps = await Promise.all([0, 1, 2].map((i) => hostBits(single.step(i).modulation)));
    expect(steps.flatMap((bits) => [...bits])).toEqual([...(await hostBits(together.modulation))]);
    // Three rows of sizes divide the six rows of two steps of three, but not a batch of two.
    const three = tensorOf('float32', [3, 2], [1, 2, 3, 4, 5, 6]);
    const prepare = (more: object) => () =>
      latte.prepare({ timesteps, caption, resolution, aspectRatio, ...more });
    await rejected(
      prepare({ resolution: three }),
      'ERR_SHAPE',
      '`batch_size` should be 0 but found 2.',
      'resolution',
    );
    await rejected(
      prepare({ batchSize: 3 }),
      'ERR_SHAPE',
      '`batch_size` should be 2 but found 3.',
      'resolution',
    );
    await rejected(
      prepare({ timesteps: Array<number>(64).fill(1), batchSize: 2 ** 31 - 2 }),
      'ERR_OUT_OF_MEMORY',
    );
    await rejected(prepare({ aspectRatio: undefined }), 'ERR_VALUE', 'aspectRatio is missing');
    await rejected(prepare({ resolution: undefined }), 'ERR_VALUE', 'resolution is missing');
    await rejected(prepare({ resolution: '512' }), 'ERR_VALUE', 'resolution', '"512"');
    await rejected(
      prepare({ resolution: Tensor.zeros([1, 1, 2]) }),
      'ERR_SHAPE',
      'resolution',
      '[1, 1, 2]',
    );
    for (const flat of [[1024, 1024], Float32Array.of(1, 2), new Tensor('float32', [1, 2])]) {
      const message = 'resolution must have shape [b, 2], but has [2]';
      await rejected(prepare({ resolution: flat }), 'ERR_SHAPE', message);
    }
    // The layer refuses these sizes while the caption is being projected; that result must not stay.
    const failing = { resolution: Tensor.zeros([2, 3]), caption: Tensor.zeros([2, 4000, 32]) };
    const { live } = memoryUsage();
    await rejected(prepare(failing), 'ERR_SHAPE');
    expect(memoryUsage().live).toBeLessThanOrEqual(live);
    plan.dispose();
    latte.dispose();
  });

  it('takes an empty batch and typed arrays of timesteps', async () => {
    const latte = await LatteEmbeddings.fromPretrained(join(golden, 'latte'));
    const empty = await latte.prepare({ timesteps: [1, 2], caption: Tensor.zeros([0, 3, 32]) });
    expect(empty.encoderHiddenStates.shape).toEqual([0, 3, 48]);
    expect(empty.step(1).modulation.shape).toEqual([0, 288]);
    const bits: Uint8Array[] = [];
    for (const timesteps of [
      [999, 1],
      Float32Array.of(999, 1),
      Float64Array.of(999, 1),
      Int32Array.of(999, 1),
      BigInt64Array.of(999n, 1n),
    ]) {
      const plan = await latte.prepare({ timesteps, caption });
      bits.push(await hostBits(plan.step(0).modulation));
    }
    for (const other of bits) expect(other).toEqual(bits[0]);
    latte.dispose();
  });

  it('takes inherited options, wherever the timesteps are', async () => {
    const latte = await LatteEmbeddings.fromPretrained(join(golden, 'latte'));
    const host = new Tensor('float32', [999, 1]);
    const timesteps = await host.to(latte.patchEmbed.device);
    const options = Object.create({ timesteps, caption }) as { timesteps: Tensor; caption: Tensor };
    const plan = await latte.prepare(options);
    expect(plan.timesteps).toEqual([999, 1]);
    latte.dispose();
  });

  it('refuses what does not fit, naming the option', async () => {
    const latte = await LatteEmbeddings.fromPretrained(join(golden, 'latte'));
    const prepare = (more: object) => () => latte.prepare({ timesteps: [1], caption, ...more });
    await rejected(prepare({ timesteps: [] }), 'ERR_VALUE', 'timesteps', '[]');
    await rejected(prepare({ timesteps: 5 }), 'ERR_VALUE', 'timesteps', '5');
    await rejected(prepare({ timesteps: [1, '2'] }), 'ERR_VALUE', 'timesteps[1]', '"2"');
    await rejected(prepare({ timesteps: 'abc' }), 'ERR_VALUE', 'timesteps', '"abc"');
    await rejected(prepare({ caption: [1] }), 'ERR_VALUE', 'caption must be a Tensor');
    await rejected(
      prepare({ caption: Tensor.zeros([2, 3, 31]) }),
      'ERR_SHAPE',
      'caption',
      '[B, L, 32]',
      '[2, 3, 31]',
    );
    await rejected(prepare({ caption: Tensor.zeros([3, 32]) }), 'ERR_SHAPE', 'caption', '[3, 32]');
    await rejected(prepare({ batchSize: 1.5 }), 'ERR_VALUE', 'batchSize', '1.5');
    await rejected(prepare({ batchSize: -1 }), 'ERR_VALUE', 'batchSize', '-1');
    await rejected(() => latte.prepare(null as never), 'ERR_VALUE', 'options', 'null');
    await rejected(() => latte.prepare(undefined as never), 'ERR_VALUE', 'timesteps', 'undefined');
    const { proxy, revoke } = Proxy.revocable([], {});
    revoke();
    await rejected(() => latte.prepare(proxy as never), 'ERR_VALUE', 'options', 'a revoked proxy');
    await rejected(prepare({ timesteps: proxy }), 'ERR_VALUE', 'timesteps', 'a revoked proxy');
    const gone = Tensor.zeros([2, 3, 32]);
    gone.dispose();
    await rejected(prepare({ caption: gone }), 'ERR_DISPOSED', 'caption');
    latte.dispose();
  });

  it('copies the caption before it returns', async () => {
    const latte = await LatteEmbeddings.fromPretrained(join(golden, 'latte'));
    const values = new Float32Array(192).fill(0.5);
    const expected = await latte.captionProjection!.forward(
      new Tensor('float32', values.slice(), [2, 3, 32]),
    );
    const pending = latte.prepare({
      timesteps: [1],
      caption: new Tensor('float32', values, [2, 3, 32]),
    });
    values.fill(9);
    expect(await hostBits((await pending).encoderHiddenStates)).toEqual(await hostBits(expected));
    latte.dispose();
  });
});

describe('dispose', () => {
  it('may be called twice; later use throws ERR_DISPOSED; a plan outlives its layers', async () => {
    const latte = await LatteEmbeddings.fromPretrained(join(golden, 'latte'));
    const caption = Tensor.zeros([1, 2, 32]);
    const plan = await latte.prepare({ timesteps: [1], caption });
    const pending = latte.prepare({ timesteps: [1], caption });
    latte.dispose();
    latte.dispose();
    expect((await pending).step(0).modulation.shape).toEqual([1, 288]);
    await rejected(() => latte.prepare({ timesteps: [1], caption }), 'ERR_DISPOSED');
    await rejected(() => latte.embedLatent(Tensor.zeros([1, 4, 8, 8])), 'ERR_DISPOSED');
    refused(() => latte.tempPosEmbed(1), 'ERR_DISPOSED');
    const { modulation } = plan.step(0);
    plan.dispose();
    plan.dispose();
    expect([modulation.disposed, plan.encoderHiddenStates.disposed]).toEqual([true, true]);
    refused(() => plan.step(0), 'ERR_DISPOSED', 'plan');
  });

  it('steps are whole numbers within the plan', async () => {
    const latte = await LatteEmbeddings.fromPretrained(join(golden, 'latte'));
    const plan = await latte.prepare({ timesteps: [1, 2], caption: Tensor.zeros([1, 2, 32]) });
    for (const i of [-1, 2, 0.5, NaN, '0', undefined])
      refused(() => plan.step(i as number), 'ERR_VALUE', 'i must be', '0 to 1');
    plan.dispose();
    latte.dispose();
  });
});
