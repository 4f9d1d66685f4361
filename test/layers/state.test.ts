import { describe, expect, it } from 'vitest';
import { Tensor } from '../../lib/index.js';
import { uniform } from '../support/random.js';
import { refused, rejected } from '../support/errors.js';
import {
  largePatchEmbed,
  owned,
  patchEmbedWeights,
  random,
  smallCaption,
  smallPatch,
  smallPatchEmbed,
} from '../support/layers.js';

const any = (value: unknown): never => value as never;

describe('dispose', () => {
  it('of a layer: every use throws ERR_DISPOSED, a second dispose does nothing', async () => {
    const layer = smallPatchEmbed();
    layer.dispose();
    layer.dispose();
    await rejected(() => layer.forward(random([1, 4, 8, 8])), 'ERR_DISPOSED');
    refused(() => layer.forwardSync(random([1, 4, 8, 8])), 'ERR_DISPOSED');
    refused(() => layer.loadStateDict(patchEmbedWeights(smallPatch)), 'ERR_DISPOSED');
    refused(() => layer.stateDict(), 'ERR_DISPOSED');
    expect([layer.device, layer.dtype]).toEqual(['cpu', 'float32']);
  });

  it('of an input', async () => {
    const latent = owned([1, 4, 8, 8]);
    latent.dispose();
    await rejected(() => smallPatchEmbed().forward(latent), 'ERR_DISPOSED', 'latent');
  });

  it('of layer, input and `out` during a forward: it completes rightly', async () => {
    const { layer, latent, tokens } = largePatchEmbed();
    const wanted = layer.forwardSync(latent());
    const input = owned([32, 4, 64, 64]);
    (input.data as Float32Array).set(latent().data as Float32Array);
    const promise = layer.forward(input);
    input.dispose();
    layer.dispose();
    const result = await promise;
    expect(result.shape).toEqual(tokens);
    expect(Buffer.compare(Buffer.from(result.data.buffer), Buffer.from(wanted.data.buffer))).toBe(
      0,
    );
  });

  it('of `out` during a forward: no crash, and the tensor stays disposed', async () => {
    const { layer, latent, tokens } = largePatchEmbed();
    const out = Tensor.zeros(tokens);
    const promise = layer.forward(latent(), { out });
    out.dispose();
    await promise.catch((error: unknown) => expect(error).toMatchObject({ code: 'ERR_DISPOSED' }));
    expect(out.disposed).toBe(true);
    refused(() => out.data, 'ERR_DISPOSED');
    layer.dispose();
  });

  it('new weights during a forward: it completes with the old ones', async () => {
    const { layer, latent } = largePatchEmbed();
    const wanted = layer.forwardSync(latent());
    const promise = layer.forward(latent());
    layer.loadStateDict({
      'proj.weight': Tensor.zeros([1152, 4, 2, 2]),
      'proj.bias': Tensor.zeros([1152]),
    });
    const result = await promise;
    expect(Buffer.compare(Buffer.from(result.data.buffer), Buffer.from(wanted.data.buffer))).toBe(
      0,
    );
    layer.dispose();
  });
});

describe('an AbortSignal', () => {
  it('that was aborted before: nothing is computed', async () => {
    const out = Tensor.zeros([1, 16, 16]);
    const reason = new Error('no longer needed');
    const error = await rejected(
      () =>
        smallPatchEmbed().forward(random([1, 4, 8, 8]), { out, signal: AbortSignal.abort(reason) }),
      'ERR_ABORTED',
    );
    expect(error.cause).toBe(reason);
    expect((out.data as Float32Array).every((x) => x === 0)).toBe(true);
    refused(
      () =>
        smallPatchEmbed().forwardSync(random([1, 4, 8, 8]), any({ signal: AbortSignal.abort() })),
      'ERR_ABORTED',
    );
  });

  it('that is aborted during a forward rejects it; layer and `out` stay usable', async () => {
    const { layer, latent, tokens } = largePatchEmbed();
    const out = Tensor.zeros(tokens);
    const controller = new AbortController();
    const promise = layer.forward(latent(), { out, signal: controller.signal });
    controller.abort();
    await rejected(() => promise, 'ERR_ABORTED');
    expect(await layer.forward(latent(), { out })).toBe(out);
    expect(
      Buffer.compare(
        Buffer.from(out.data.buffer),
        Buffer.from(layer.forwardSync(latent()).data.buffer),
      ),
    ).toBe(0);
    layer.dispose();
  });

  it('that is aborted afterwards changes nothing', async () => {
    const controller = new AbortController();
    const result = await smallPatchEmbed().forward(random([1, 4, 8, 8]), {
      signal: controller.signal,
    });
    controller.abort();
    expect(result.shape).toEqual([1, 16, 16]);
  });

  it('stops many forwards that wait in the queue', async () => {
    const { layer, latent } = largePatchEmbed();
    const controller = new AbortController();
    const input = latent();
    const jobs = Array.from({ length: 8 }, () =>
      layer.forward(input, { signal: controller.signal }),
    );
    controller.abort();
    const ends = await Promise.allSettled(jobs);
    for (const end of ends) {
      if (end.status === 'rejected') expect(end.reason).toMatchObject({ code: 'ERR_ABORTED' });
    }
    expect(ends.at(-1)!.status).toBe('rejected');
    layer.dispose();
  });

  it('that is none is refused', async () => {
    for (const signal of [null, 5, {}, { aborted: false }, 'abort', new AbortController()]) {
      await rejected(
        () => smallPatchEmbed().forward(random([1, 4, 8, 8]), any({ signal })),
        'ERR_VALUE',
        'signal',
      );
    }
  });
});

describe('forwards at once', () => {
  it('of one layer give what they give one by one', async () => {
    const layer = smallCaption();
    const inputs = Array.from(
      { length: 60 },
      (_, i) =>
        new Tensor('float32', Float32Array.from(uniform(`caption ${i}`, (i % 9) * 8)), [i % 9, 8]),
    );
    const wanted = inputs.map((input) => Array.from(layer.forwardSync(input).data as Float32Array));
    const results = await Promise.all(inputs.map((input) => layer.forward(input)));
    expect(results.map((result) => Array.from(result.data as Float32Array))).toEqual(wanted);
  });

  it('and a forwardSync in their midst', async () => {
    const { layer, latent } = largePatchEmbed();
    const small = smallCaption();
    const wanted = Array.from(small.forwardSync(random([2, 8])).data as Float32Array);
    const promise = layer.forward(latent());
    for (let i = 0; i < 20; i++) {
      expect(Array.from(small.forwardSync(random([2, 8])).data as Float32Array)).toEqual(wanted);
    }
    await promise;
    layer.dispose();
  });
});
