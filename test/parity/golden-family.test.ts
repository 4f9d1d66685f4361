import { describe, expect, it } from 'vitest';
import * as latte from '../../lib/index.js';
import type { FloatDType, Tensor } from '../../lib/index.js';
import * as compare from '../support/compare.js';
import { computes, testedDevices } from '../support/devices.js';
import { rejected } from '../support/errors.js';
import {
  familyCases,
  namedResults,
  resolved,
  storedTensor,
  type FamilyCase,
} from '../support/golden-family.js';
import { fromStored, valuesOf } from '../support/tensors.js';

// The layers, functions and models that diffusers computed: test/golden-family/README.md.

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
  // Only `posEmbedType` may be null.
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
