import { describe, expect, it } from 'vitest';
import * as compare from '../support/compare.js';
import {
  camelCase,
  goldenIndex,
  goldenTensors,
  goldenWeights,
  type GoldenCase,
} from '../support/golden.js';
import { dtypeOf } from '../support/safetensors.js';
import { exact, type Approx } from './array.js';
import { captionProjection, combined, timestepMlp, type CombinedOptions } from './layers.js';
import { patchEmbed, positionTable, type PatchEmbedOptions } from './patch-embed.js';
import { bitsOf, valueOfBits, type Float } from './rounding.js';
import { sincos1d, sincos2d, sincosFromGrid } from './sincos.js';
import { timestepEmbedding } from './timesteps.js';

/** The reference's results for a golden case. */
function answer(golden: GoldenCase): Approx {
  const tensors = goldenTensors(golden);
  const input = (name: string): Approx =>
    exact(tensors.get(name)!.shape, tensors.get(name)!.values);
  const optional = (name: string): Approx | undefined =>
    tensors.has(name) ? input(name) : undefined;
  const weights = Object.fromEntries(
    [...goldenWeights(golden)].map(([name, tensor]) => [name, exact(tensor.shape, tensor.values)]),
  );
  const options = camelCase(golden.params) as Record<string, never>;
  const dtype = dtypeOf(golden.expected_dtype) as Float;
  switch (golden.op) {
    case 'get_1d_sincos_pos_embed':
      return sincos1d(options.embedDim!, options.length!, options.interpolationScale);
    case 'get_1d_sincos_pos_embed_from_grid':
      return sincosFromGrid(options.embedDim!, input('pos').value);
    case 'get_2d_sincos_pos_embed':
      return sincos2d(options.embedDim!, options.gridSize!, options);
    case 'Timesteps':
    case 'get_timestep_embedding': {
      const dim = options.numChannels ?? options.embeddingDim!;
      return timestepEmbedding(input('timesteps').value, dim, options);
    }
    case 'TimestepEmbedding':
      return timestepMlp(options, weights, input('sample'), optional('condition'), dtype);
    case 'PatchEmbed':
      return patchEmbed(options, weights, input('latent'), dtype);
    case 'CombinedTimestepSizeEmbeddings':
      return combined(
        options as unknown as CombinedOptions,
        weights,
        {
          timestep: input('timestep'),
          resolution: optional('resolution'),
          aspectRatio: optional('aspect_ratio'),
          batchSize: options.batchSize,
        },
        dtype,
      );
    case 'CaptionProjection':
      return captionProjection(weights, input('caption'), dtype);
    default:
      throw new Error(`no reference for ${golden.op}`);
  }
}

describe('the reference agrees with the golden data', () => {
  for (const golden of goldenIndex.cases) {
    it(golden.file, () => {
      const tensors = goldenTensors(golden);
      const expected = tensors.get('expected')!;
      const result = answer(golden);
      expect(result.shape).toEqual(expected.shape);
      const tolerance = { ...golden, tol: tensors.get('tol')?.values };
      expect(
        compare.golden(result.value, expected.values, expected.shape, tolerance),
      ).toBeUndefined();
    });
  }
});

describe('the allowance of the reference covers the golden data', () => {
  for (const golden of goldenIndex.cases) {
    // Position functions are float64 there, so their last digits depend on the platform's sine.
    if (golden.expected_dtype === 'F64') continue;
    it(golden.file, () => {
      const expected = goldenTensors(golden).get('expected')!;
      expect(
        compare.near(expected.values, answer(golden), expected.dtype as Float),
      ).toBeUndefined();
    });
  }
});

describe('stored position tables', () => {
  for (const golden of goldenIndex.cases.filter(({ op }) => op === 'PatchEmbed')) {
    if (golden.params.pos_embed_loaded === true) continue;
    it(golden.file, () => {
      const stored = goldenTensors(golden).get('pos_embed')!;
      const options = camelCase(golden.params) as PatchEmbedOptions;
      const [h, w] = [options.height!, options.width!].map((x) =>
        Math.floor(x / options.patchSize!),
      );
      const table = positionTable(options, h!, w!);
      expect(stored.shape.slice(1)).toEqual(table.shape);
      expect(
        compare.near(stored.values, { ...table, shape: stored.shape }, 'float32'),
      ).toBeUndefined();
    });
  }
});

describe('rounding', () => {
  it('reads and writes every float16 and bfloat16 number', () => {
    for (const format of ['float16', 'bfloat16'] as const) {
      const all = Array.from({ length: 65536 }, (_, bits) => bits);
      const numbers = all.filter((bits) => !Number.isNaN(valueOfBits(format, bits)));
      expect(numbers.filter((bits) => bitsOf(format, valueOfBits(format, bits)) !== bits)).toEqual(
        [],
      );
    }
  });

  it.each([
    ['float16', 65504, 0x7bff],
    ['float16', 65519.99, 0x7bff],
    ['float16', 65520, 0x7c00],
    ['float16', 2 ** -25, 0],
    ['float16', 2 ** -25 * (1 + 2 ** -52), 1],
    ['float16', 2049, 0x6800],
    ['float16', 2051, 0x6802],
    ['bfloat16', 1 + 2 ** -8, 0x3f80],
    ['bfloat16', 1 + 3 * 2 ** -8, 0x3f82],
    ['bfloat16', -(1 + 2 ** -8 + 2 ** -40), 0xbf81],
    ['bfloat16', 3.4e38, 0x7f80],
  ] as const)('%s of %d is %d', (format, value, bits) => {
    expect(bitsOf(format, value)).toBe(bits);
  });
});
