import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Tensor } from '../../lib/index.js';
import { PatchEmbed, type FloatDType } from '../../lib/index.js';
import { patchEmbedWeights } from '../support/layers.js';
import { uniform } from '../support/random.js';
import { tensorOf, valuesOf } from '../support/tensors.js';
import { twin } from '../support/twin.js';

// The fused projection keeps an operand on the NPU for each way in which tokens are cut into tiles. The
// number of images affects that, too, so one operand must not be used for another. Not in runs with
// LATTE_ASCEND_FUSED_PATCH=0 (vitest.config.mjs).

const patch = { height: 8, width: 8, patchSize: 2, inChannels: 4, embedDim: 1152 };
/** One unit of the dtype at 4; all results are smaller than 4. */
const allowance = { float32: 2 ** -18, float16: 2 ** -8, bfloat16: 2 ** -5 } as Record<
  FloatDType,
  number
>;

describe('the fused projection', () => {
  describe.each(['float32', 'float16', 'bfloat16'] as const)('in %s', (dtype) => {
    let layers: Record<'cpu' | 'npu:0', PatchEmbed>;
    beforeAll(() => {
      const make = (device: string) => {
        const layer = new PatchEmbed({ ...patch, device, dtype });
        layer.loadStateDict(patchEmbedWeights(patch, dtype));
        return layer;
      };
      layers = { cpu: make('cpu'), 'npu:0': make('npu:0') };
    });
    afterAll(() => {
      for (const layer of Object.values(layers)) layer.dispose();
    });

    async function forward(device: 'cpu' | 'npu:0', shape: number[]): Promise<number[]> {
      const size = shape.reduce((a, b) => a * b);
      const result = await layers[device].forward(
        tensorOf(dtype, shape, uniform(`latent ${shape.join()}`, size)),
      );
      const host: Tensor = await result.to('cpu');
      const values = Array.from(valuesOf(host), Number);
      for (const tensor of [result, host]) tensor.dispose();
      return values;
    }

    it.each([
      [[1, 4, 8, 8]],
      [[60, 4, 8, 8]],
      [[1, 4, 8, 8]],
      [[3, 4, 8, 12]],
      [[200, 4, 4, 8]],
      [[1, 4, 9, 9]],
      [[60, 4, 8, 8]],
    ])('agrees with the cpu for latents %j, in one launch', async (shape) => {
      twin().reset();
      const got = await forward('npu:0', shape);
      expect(twin().counters().launchesByName).toEqual({ latte_patch_projection: 1 });
      const wanted = await forward('cpu', shape);
      expect(got).toHaveLength(wanted.length);
      const wrong = got.findIndex(
        (value, i) => !(Math.abs(value - wanted[i]!) <= allowance[dtype]),
      );
      expect(wrong, `${got[wrong]} instead of ${wanted[wrong]}`).toBe(-1);
    });

    it('moves little more than its output', async () => {
      const images = 32;
      const options = { ...patch, height: 64, width: 64 };
      const layer = new PatchEmbed({ ...options, device: 'npu:0', dtype });
      layer.loadStateDict(patchEmbedWeights(options, dtype));
      const latent = await tensorOf(
        dtype,
        [images, 4, 64, 64],
        uniform('moved', images * 4 * 64 * 64),
      ).to('npu:0');
      (await layer.forward(latent)).dispose();
      twin().reset();
      const result = await layer.forward(latent);
      const { bytesMoved, bytesPastL2 } = twin().counters();
      const bytes = result.size * (dtype === 'float32' ? 4 : 2);
      expect(bytesMoved / bytes).toBeLessThanOrEqual(1.1);
      expect(bytesPastL2 / bytes).toBeLessThanOrEqual(1.03);
      for (const one of [result, latent, layer]) one.dispose();
    });

    it('keeps what is not a number in its token: NaN in float32, 0 in half types', async () => {
      const latents = uniform('not finite', 4 * 8 * 8);
      latents[0] = NaN; // of the first token
      latents[8 * 8 + 2] = -Infinity; // of the second
      const input = () => tensorOf(dtype, [1, 4, 8, 8], latents);
      const rows = async (device: 'cpu' | 'npu:0') => {
        const result = await layers[device].forward(input());
        const host: Tensor = await result.to('cpu');
        return Array.from(valuesOf(host), Number);
      };
      const [got, wanted] = [await rows('npu:0'), await rows('cpu')];
      const largest = { float32: Infinity, float16: 65504, bfloat16: 2 ** 128 - 2 ** 120 }[dtype];
      got.forEach((value, i) => {
        if (i < 1152) expect(value).toBe(dtype === 'float32' ? NaN : 0);
        else if (i < 2304) expect(value).toBe(Math.sign(wanted[i]!) * largest);
        else if (!(Math.abs(value - wanted[i]!) <= allowance[dtype])) {
          expect.fail(`${value} instead of ${wanted[i]}`);
        }
      });
    });

    it('leaves a bias that is not finite to the other operations', async () => {
      for (const layer of Object.values(layers)) {
        const state = patchEmbedWeights(patch, dtype);
        const bias = state['proj.bias']!;
        const values = Array.from({ length: 1152 }, (_, i) => (i === 7 ? Infinity : 0.5));
        layer.loadStateDict({ ...state, 'proj.bias': tensorOf(dtype, bias.shape, values) });
      }
      const got = await forward('npu:0', [1, 4, 8, 8]);
      expect(got[7]).toBe(Infinity);
      expect(got.filter((value) => !Number.isFinite(value))).toHaveLength(16);
    });
  });
});
