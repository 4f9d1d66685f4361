import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import * as latte from '../../lib/index.js';
import type { FloatDType, Tensor } from '../../lib/index.js';
import * as compare from '../support/compare.js';
import { computes, testedDevices } from '../support/devices.js';
import { refused, rejected } from '../support/errors.js';
import {
  familyCases,
  familyFolder,
  namedResults,
  resolved,
  storedTensor,
  type FamilyCase,
} from '../support/golden-family.js';
import { onTwin } from '../support/twin.js';
import { fromStored, valuesOf } from '../support/tensors.js';

// The layers, functions and models that diffusers computed: test/golden-family/README.md describes them.

interface AnyLayer {
  loadStateDict(state: Record<string, Tensor>, options?: { prefix?: string }): void;
  stateDict(): Record<string, Tensor>;
  forward(...args: unknown[]): Promise<unknown>;
  forwardSync(...args: unknown[]): unknown;
  dispose(): void;
}

const api = latte as unknown as Record<string, unknown>;

function makeLayer(c: FamilyCase, device: string): AnyLayer {
  const Class = api[c.class!] as new (options: object) => AnyLayer;
  const options = resolved(c.options ?? {}) as object;
  // Null is a value of `posEmbedType`, but of no other option.
  const nulls = Object.entries(c.options ?? {}).filter(([, value]) => value === null);
  const layer = new Class({ ...options, ...Object.fromEntries(nulls), dtype: c.dtype, device });
  if (c.state !== undefined) {
    layer.loadStateDict(resolved(c.state) as Record<string, Tensor>, { prefix: c.prefix });
  }
  return layer;
}

async function checkResults(c: FamilyCase, result: unknown): Promise<void> {
  const results = namedResults(result, c.out);
  for (const [name, expected] of Object.entries(c.out!)) {
    if (expected === null) continue;
    const tensor = results[name]!;
    const truth = storedTensor(expected.truth);
    expect([name, tensor.dtype, [...tensor.shape]]).toEqual([name, expected.dtype, truth.shape]);
    const here = await tensor.to('cpu');
    const tolerance = { atol: expected.tol, rtol: 0 };
    expect([name, compare.golden(valuesOf(here), truth.values, truth.shape, tolerance)]).toEqual([
      name,
      undefined,
    ]);
  }
}

function named(...kinds: FamilyCase['kind'][]): [string, FamilyCase][] {
  return familyCases.filter(({ kind }) => kinds.includes(kind)).map((c) => [c.label, c]);
}

describe.each(testedDevices)('layers of the family on %s', (device) => {
  it.each(named('layer', 'state'))('%s', async (_, c) => {
    if (!computes(device, c.dtype!)) {
      await rejected(() => Promise.resolve(makeLayer(c, device)), 'ERR_DTYPE', device);
      return;
    }
    const layer = makeLayer(c, device);
    try {
      if (c.kind === 'state') {
        const state = layer.stateDict();
        expect(Object.keys(state).sort()).toEqual(Object.keys(c.state!).sort());
        for (const [name, reference] of Object.entries(c.state!)) {
          const { shape, values } = storedTensor(reference);
          expect([...state[name]!.shape]).toEqual(shape);
          expect(valuesOf(state[name]!)).toEqual(
            valuesOf(fromStored({ dtype: state[name]!.dtype, shape, values })),
          );
        }
        return;
      }
      await checkResults(c, await layer.forward(...(resolved(c.args) as unknown[])));
      await checkResults(c, layer.forwardSync(...(resolved(c.args) as unknown[])));
    } finally {
      layer.dispose();
    }
  });

  it.each(named('error').filter(([, c]) => c.class !== undefined))('%s', async (_, c) => {
    const dtype: FloatDType = computes(device, 'float32') ? 'float32' : 'float16';
    const error: unknown = await (async () => {
      const layer = makeLayer({ ...c, dtype }, device);
      return layer.forward(...(resolved(c.args) as unknown[]));
    })().catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(latte.LatteError);
    expect((error as Error).message).toContain(c.message);
  });
});

// Functions run on the host, so the run on the CPU is enough.
describe.skipIf(onTwin)('functions of the family', () => {
  type AnyFunction = (...args: unknown[]) => unknown;

  it.each(named('fn'))('%s', async (_, c) => {
    const result = (api[c.fn!] as AnyFunction)(...(resolved(c.args) as unknown[]));
    await checkResults(c, result);
  });

  it.each(named('error').filter(([, c]) => c.fn !== undefined))('%s', (_, c) => {
    refused(
      () => (api[c.fn!] as AnyFunction)(...(resolved(c.args) as unknown[])),
      'ERR_VALUE',
      c.message!,
    );
  });

  const calls: [name: string, code: latte.LatteErrorCode, run: () => unknown][] = [
    ['dim', 'ERR_VALUE', () => latte.get1dRotaryPosEmbed(0, 4)],
    ['pos', 'ERR_VALUE', () => latte.get1dRotaryPosEmbed(4, -1)],
    ['pos', 'ERR_VALUE', () => latte.get1dRotaryPosEmbed(4, 'x' as never)],
    ['thetas', 'ERR_VALUE', () => latte.get1dRotaryPosEmbed(4, 4, { thetas: 3 } as never)],
    ['theta', 'ERR_VALUE', () => latte.get1dRotaryPosEmbed(4, 4, { theta: 0 })],
    [
      'freqsDtype',
      'ERR_DTYPE',
      () => latte.get1dRotaryPosEmbed(4, 4, { freqsDtype: 'f' as never }),
    ],
    ['dtype', 'ERR_DTYPE', () => latte.get1dRotaryPosEmbed(4, 4, { dtype: 'float16' as never })],
    [
      'dim',
      'ERR_VALUE',
      () =>
        latte.get2dRotaryPosEmbed(
          6,
          [
            [0, 0],
            [1, 1],
          ],
          [2, 2],
        ),
    ],
    ['cropsCoords', 'ERR_VALUE', () => latte.get2dRotaryPosEmbed(8, [[0, 0]] as never, [2, 2])],
    [
      'gridSize',
      'ERR_VALUE',
      () =>
        latte.get2dRotaryPosEmbed(
          8,
          [
            [0, 0],
            [1, 1],
          ],
          [2] as never,
        ),
    ],
    [
      'dim // 8',
      'ERR_VALUE',
      () =>
        latte.get3dRotaryPosEmbed(
          24,
          [
            [0, 0],
            [1, 1],
          ],
          [2, 2],
          1,
        ),
    ],
    [
      'maxSize',
      'ERR_VALUE',
      () => latte.get3dRotaryPosEmbed(16, null, [2, 2], 1, { gridType: 'slice' }),
    ],
    [
      'gridSize',
      'ERR_VALUE',
      () => latte.get3dRotaryPosEmbed(16, null, [2, 6], 1, { gridType: 'slice', maxSize: [5, 5] }),
    ],
    ['ids', 'ERR_VALUE', () => latte.fluxPosEmbed([1] as never, { axesDim: [2] })],
    [
      'ids',
      'ERR_SHAPE',
      () => latte.fluxPosEmbed(new latte.Tensor('float32', [1], [1]), { axesDim: [2] }),
    ],
    [
      'axesDim',
      'ERR_VALUE',
      () => latte.fluxPosEmbed(new latte.Tensor('float32', [1], [1, 1]), { axesDim: [3] }),
    ],
    [
      'attentionHeadDim',
      'ERR_VALUE',
      () =>
        latte.wanRotaryPosEmbed(
          { attentionHeadDim: 13, patchSize: [1, 1, 1], maxSeqLen: 4 },
          [1, 1, 1, 1, 1],
        ),
    ],
    [
      'latentShape',
      'ERR_VALUE',
      () =>
        latte.wanRotaryPosEmbed(
          { attentionHeadDim: 12, patchSize: [1, 1, 1], maxSeqLen: 4 },
          [1, 1, 1],
        ),
    ],
    ['numFrames', 'ERR_VALUE', () => latte.ltxVideoRotaryPosEmbed({ dim: 12 }, { batchSize: 1 })],
    [
      'height has no effect',
      'ERR_VALUE',
      () =>
        latte.ltxVideoRotaryPosEmbed(
          { dim: 12 },
          { videoCoords: new latte.Tensor('float32', [1, 2, 3], [1, 3, 1]), height: 3 },
        ),
    ],
    [
      'videoCoords',
      'ERR_SHAPE',
      () =>
        latte.ltxVideoRotaryPosEmbed(
          { dim: 12 },
          { videoCoords: new latte.Tensor('float32', [1, 2], [1, 2, 1]) },
        ),
    ],
  ];
  it.each(calls)('refuse a wrong %s (%s)', (name, code, run) => {
    refused(run, code, name);
  });

  it('give float64 tables', () => {
    const { cos, sin } = latte.get1dRotaryPosEmbed(4, [0, 1.5], {
      freqsDtype: 'float64',
      dtype: 'float64',
    });
    expect([...(cos.data as Float64Array)].slice(4, 5)).toEqual([Math.cos(1.5)]);
    expect([...(sin.data as Float64Array)].slice(6)).toEqual([Math.sin(0.015), Math.sin(0.015)]);
  });
});

describe.each(testedDevices)('models of the family on %s', (device) => {
  type Model = latte.TransformerEmbeddings;
  const loaded = new Map<string, Model>();
  const load = async (c: FamilyCase): Promise<Model> => {
    const key = JSON.stringify([c.checkpoint, c.load]);
    const model =
      loaded.get(key) ??
      (await latte.TransformerEmbeddings.fromPretrained(join(familyFolder, c.checkpoint!), {
        ...c.load,
        device,
      }));
    loaded.set(key, model);
    return model;
  };
  afterAll(() => {
    for (const model of loaded.values()) model.dispose();
  });

  it.each(named('checkpoint', 'submodule'))('%s', async (_, c) => {
    if (!computes(device, c.dtype!)) {
      await rejected(() => load(c), 'ERR_DTYPE', device);
      return;
    }
    const model = await load(c);
    if (c.kind === 'checkpoint') {
      expect(model.className).toBe(c.className);
      expect(Object.keys(model.layers)).toEqual(expect.arrayContaining(c.layers!));
      expect(Object.isFrozen(model.config)).toBe(true);
      return;
    }
    const layer = model.layers[c.layer!]! as unknown as AnyLayer;
    await checkResults(c, await layer.forward(...(resolved(c.args) as unknown[])));
  });

  it('refuses a class that is not known, with the list', async () => {
    const c = familyCases.find(({ kind, checkpoint }) => kind === 'error' && checkpoint)!;
    const list = ['AuraFlowTransformer2DModel', 'LatteT2V', 'WanTransformer3DModel'];
    await rejected(() => load(c), c.code as latte.LatteErrorCode, ...list);
  });
});
