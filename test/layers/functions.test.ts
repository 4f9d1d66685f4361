import { describe, expect, it } from 'vitest';
import * as latte from '../../lib/index.js';
import { Tensor } from '../../lib/index.js';
import { refused } from '../support/errors.js';

const any = (value: unknown): never => value as never;

describe('positions and timesteps', () => {
  it('may be a Tensor, a typed array or a number[]', () => {
    const ways = [
      [0, 1.5, -3],
      Float32Array.of(0, 1.5, -3),
      Float64Array.of(0, 1.5, -3),
      new Tensor('float32', [0, 1.5, -3]),
    ];
    for (const call of [
      (pos: never) => latte.get1dSincosPosEmbedFromGrid(8, pos),
      (timesteps: never) => latte.getTimestepEmbedding(timesteps, 8),
      (timesteps: never) =>
        new latte.Timesteps({
          numChannels: 8,
          flipSinToCos: true,
          downscaleFreqShift: 0,
          device: 'cpu',
        }).forwardSync(timesteps),
    ]) {
      const results = ways.map((way) => Array.from(call(any(way)).data as Float32Array));
      for (const result of results) expect(result).toEqual(results[0]);
    }
  });

  it('may be integers of both widths', () => {
    const one = latte.getTimestepEmbedding([0, 7, -3], 8);
    for (const way of [Int32Array.of(0, 7, -3), BigInt64Array.of(0n, 7n, -3n)]) {
      expect(latte.getTimestepEmbedding(any(way), 8).data).toEqual(one.data);
    }
  });

  it('are left as they were', () => {
    const pos = Float64Array.of(1, 2);
    latte.get1dSincosPosEmbedFromGrid(4, pos);
    expect(pos).toEqual(Float64Array.of(1, 2));
  });
});

describe('results', () => {
  it('are float32 unless told otherwise, and lie on the cpu', () => {
    for (const table of [
      latte.get1dSincosPosEmbed(4, 3),
      latte.get1dSincosPosEmbedFromGrid(4, [1]),
      latte.get2dSincosPosEmbed(4, 2),
      latte.get2dSincosPosEmbedFromGrid(4, new Tensor('float32', [1, 2], [2, 1])),
      latte.getTimestepEmbedding([1], 4),
    ]) {
      expect([table.dtype, table.device]).toEqual(['float32', 'cpu']);
    }
  });

  it('an option given as undefined is its default', () => {
    const table = latte.get2dSincosPosEmbed(
      8,
      [2, 3],
      any({
        clsToken: undefined,
        extraTokens: undefined,
        interpolationScale: undefined,
        baseSize: undefined,
        dtype: undefined,
      }),
    );
    expect(table.data).toEqual(latte.get2dSincosPosEmbed(8, [2, 3]).data);
    const embedding = latte.getTimestepEmbedding(
      [3],
      8,
      any({
        flipSinToCos: undefined,
        downscaleFreqShift: undefined,
        scale: undefined,
        maxPeriod: undefined,
      }),
    );
    expect(embedding.data).toEqual(latte.getTimestepEmbedding([3], 8).data);
  });
});

const notWhole = [-1, 1.5, NaN, Infinity, '4', null, undefined, 4n, [4]];

describe('refused', () => {
  it.each([1, 3, 5, 7])('embedDim %i', (embedDim) => {
    const text = 'embed_dim must be divisible by 2';
    refused(() => latte.get1dSincosPosEmbed(embedDim, 2), 'ERR_VALUE', text);
    refused(() => latte.get1dSincosPosEmbedFromGrid(embedDim, [1]), 'ERR_VALUE', text);
    refused(() => latte.get2dSincosPosEmbed(embedDim, 2), 'ERR_VALUE', text);
    refused(() => latte.get2dSincosPosEmbed(embedDim * 2, 2), 'ERR_VALUE', text);
    refused(
      () => latte.get2dSincosPosEmbedFromGrid(embedDim * 2, new Tensor('float32', [1, 2], [2, 1])),
      'ERR_VALUE',
      text,
    );
  });

  it('sizes that are no whole numbers', () => {
    for (const value of notWhole) {
      refused(() => latte.get1dSincosPosEmbed(any(value), 2), 'ERR_VALUE', 'embedDim');
      refused(() => latte.get1dSincosPosEmbed(4, any(value)), 'ERR_VALUE', 'length');
      refused(() => latte.get2dSincosPosEmbed(any(value), 2), 'ERR_VALUE', 'embedDim');
      refused(() => latte.getTimestepEmbedding([1], any(value)), 'ERR_VALUE', 'embeddingDim');
    }
    for (const value of [...notWhole, [1], [1, 2, 3], [1, -1], [1, '2'], [1, 2.5], {}]) {
      if (Array.isArray(value) && value[0] === 4) continue;
      refused(() => latte.get2dSincosPosEmbed(4, any(value)), 'ERR_VALUE', 'gridSize');
    }
    for (const value of notWhole.filter((x) => x !== undefined)) {
      refused(
        () => latte.get2dSincosPosEmbed(4, 2, { clsToken: true, extraTokens: any(value) }),
        'ERR_VALUE',
        'extraTokens',
      );
      refused(
        () => latte.get2dSincosPosEmbed(4, 2, { baseSize: any(value) }),
        'ERR_VALUE',
        'baseSize',
      );
    }
    refused(() => latte.get2dSincosPosEmbed(4, 2, { baseSize: 0 }), 'ERR_VALUE', 'baseSize', '0');
  });

  it('values that are not numbers', () => {
    for (const value of [NaN, Infinity, '1', null, 1n]) {
      refused(
        () => latte.get1dSincosPosEmbed(4, 2, { interpolationScale: any(value) }),
        'ERR_VALUE',
        'interpolationScale',
      );
      refused(
        () => latte.get2dSincosPosEmbed(4, 2, { interpolationScale: any(value) }),
        'ERR_VALUE',
        'interpolationScale',
      );
      refused(
        () => latte.getTimestepEmbedding([1], 4, { scale: any(value) }),
        'ERR_VALUE',
        'scale',
      );
      refused(
        () => latte.getTimestepEmbedding([1], 4, { maxPeriod: any(value) }),
        'ERR_VALUE',
        'maxPeriod',
      );
      refused(
        () => latte.getTimestepEmbedding([1], 4, { downscaleFreqShift: any(value) }),
        'ERR_VALUE',
        'downscaleFreqShift',
      );
    }
    refused(
      () => latte.getTimestepEmbedding([1], 4, { flipSinToCos: any('yes') }),
      'ERR_VALUE',
      'flipSinToCos',
    );
    refused(() => latte.get2dSincosPosEmbed(4, 2, { clsToken: any(1) }), 'ERR_VALUE', 'clsToken');
  });

  it('tables in a dtype that tables do not have', () => {
    for (const dtype of ['float16', 'bfloat16', 'int32', 'double', null]) {
      refused(() => latte.get1dSincosPosEmbed(4, 2, { dtype: any(dtype) }), 'ERR_DTYPE', 'dtype');
      refused(() => latte.get2dSincosPosEmbed(4, 2, { dtype: any(dtype) }), 'ERR_DTYPE', 'dtype');
      refused(
        () => latte.get1dSincosPosEmbedFromGrid(4, [1], { dtype: any(dtype) }),
        'ERR_DTYPE',
        'dtype',
      );
    }
  });

  it('tables that no machine could hold', () => {
    const code = expect.objectContaining({
      code: expect.stringMatching(/^ERR_(SHAPE|VALUE)$/) as string,
    }) as Error;
    expect(() => latte.get1dSincosPosEmbed(2 ** 40, 2 ** 40)).toThrowError(code);
    expect(() => latte.get2dSincosPosEmbed(4, [2 ** 31, 2 ** 31])).toThrowError(code);
    expect(() =>
      latte.get2dSincosPosEmbed(4, 2, { clsToken: true, extraTokens: 2 ** 50 }),
    ).toThrowError(code);
    expect(() => latte.getTimestepEmbedding([1, 2], 2 ** 50)).toThrowError(code);
  });

  it('positions and timesteps of another kind', () => {
    for (const value of [
      null,
      undefined,
      5,
      '5',
      {},
      [1, '2'],
      [[1]],
      new DataView(new ArrayBuffer(8)),
      () => [1],
    ]) {
      expect(() => latte.get1dSincosPosEmbedFromGrid(4, any(value))).toThrowError(latte.LatteError);
      expect(() => latte.getTimestepEmbedding(any(value), 4)).toThrowError(latte.LatteError);
      expect(() => latte.get2dSincosPosEmbedFromGrid(4, any(value))).toThrowError(latte.LatteError);
    }
  });

  it('timesteps that are not one row', () => {
    const text = 'Timesteps should be a 1d-array';
    for (const shape of [[2, 1], [], [1, 1, 2]]) {
      const tensor = Tensor.zeros(shape);
      refused(() => latte.getTimestepEmbedding(tensor, 4), 'ERR_SHAPE', text);
      const layer = new latte.Timesteps({
        numChannels: 8,
        flipSinToCos: true,
        downscaleFreqShift: 0,
      });
      refused(() => layer.forwardSync(tensor), 'ERR_SHAPE', text);
    }
  });

  it('a grid without two planes', () => {
    for (const shape of [[3, 2], [6], [1, 2], []]) {
      refused(() => latte.get2dSincosPosEmbedFromGrid(4, Tensor.zeros(shape)), 'ERR_SHAPE', 'grid');
    }
  });
});
