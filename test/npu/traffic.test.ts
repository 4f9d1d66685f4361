import { afterAll, describe, expect, it } from 'vitest';
import { PatchEmbed, deviceDiagnostics, type FloatDType } from '../../lib/index.js';
import { patchEmbedWeights } from '../support/layers.js';
import { uniform } from '../support/random.js';
import { tensorOf } from '../support/tensors.js';
import { twin } from '../support/twin.js';
import { computes } from '../support/devices.js';

// The bytes that PatchEmbed moves by CANN's operators alone, relative to its output. Runs without the
// plugin (LATTE_ASCEND_KERNELS=off), whose fused kernel is measured in fused.test.ts.

const options = { height: 64, width: 64, patchSize: 2, inChannels: 4, embedDim: 1152 };
const tokens = 32 * 32;
const dtypes = (['float32', 'float16', 'bfloat16'] as const).filter((dtype) =>
  computes('npu:0', dtype),
);

/** Numbers of images, and of pieces: each piece takes at most three quarters of the L2 cache (192 MB). */
const pieces: Record<string, [images: number, pieces: number][]> = {
  float32: [
    [32, 1],
    [64, 2],
  ],
  float16: [
    [32, 1],
    [96, 2],
  ],
  bfloat16: [[32, 1]],
};

describe.each(dtypes)('PatchEmbed [n,4,64,64] → 1152 in %s', (dtype: FloatDType) => {
  const layer = new PatchEmbed({ ...options, device: 'npu:0', dtype });
  layer.loadStateDict(patchEmbedWeights(options, dtype));
  afterAll(() => layer.dispose());

  it.each(pieces[dtype]!)('of %d images goes in %d pieces through L2', async (images, count) => {
    expect(deviceDiagnostics().npu.kernelsPlugin).not.toBe(true);
    const latentShape = [images, 4, 64, 64];
    const values = uniform('latent', images * 4 * 64 * 64);
    const host = tensorOf(dtype, latentShape, values);
    const latent = await host.to('npu:0');
    (await layer.forward(latent)).dispose();
    twin().reset();
    const result = await layer.forward(latent);
    const counted = twin().counters();
    const bytes = images * tokens * 1152 * (dtype === 'float32' ? 4 : 2);
    const shares = [counted.bytesPastL2 / bytes, counted.bytesMoved / bytes];
    expect(shares[0], `past L2: ${shares[0]!.toFixed(3)}`).toBeLessThanOrEqual(1.3);
    expect(shares[1], `every pass: ${shares[1]!.toFixed(3)}`).toBeLessThanOrEqual(3.1);
    const { MatMul, Add, Cast = 0, Transpose } = counted.kernelsByName;
    expect([MatMul, Add, Transpose]).toEqual([count, count, 1]);
    // The bias of each product is read, too: [1152] (docs/ascend-operations.md).
    expect(Cast).toBe(dtype === 'bfloat16' ? MatMul : 0);
    for (const tensor of [host, latent, result]) tensor.dispose();
  });
});
