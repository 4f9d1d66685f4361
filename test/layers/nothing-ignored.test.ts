import { getEventListeners } from 'node:events';
import vm from 'node:vm';
import { describe, expect, it } from 'vitest';
import * as latte from '../../lib/index.js';
import { Tensor } from '../../lib/index.js';
import { writeSafetensors } from '../../lib/checkpoint/write-safetensors.js';
import { defaultDevice } from '../support/devices.js';
import { refused, rejected } from '../support/errors.js';
import { random, smallAdaLayerNorm, smallCombined, smallPatchEmbed } from '../support/layers.js';

const any = (value: unknown): never => value as never;
const otherRealm = <T>(code: string): T => vm.runInNewContext(code) as T;

function revoked(): object {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
}

function caption(): latte.CaptionProjection {
  const layer = new latte.CaptionProjection({ inFeatures: 8, hiddenSize: 4 });
  layer.loadStateDict({
    'linear_1.weight': random([4, 8]),
    'linear_1.bias': random([4]),
    'linear_2.weight': random([4, 4]),
    'linear_2.bias': random([4]),
  });
  return layer;
}

function timestepEmbedding(): latte.TimestepEmbedding {
  const layer = new latte.TimestepEmbedding({ inChannels: 8, timeEmbedDim: 4 });
  layer.loadStateDict(caption().stateDict());
  return layer;
}

/** A misspelt option, and the option that was meant. */
const misspelt: [string, (options: object) => unknown, string, string][] = [
  ['new PatchEmbed', (o) => new latte.PatchEmbed(o), 'patch_size', 'patchSize'],
  [
    'new Timesteps',
    (o) => new latte.Timesteps(any({ numChannels: 8, ...o })),
    'flip_sin_to_cos',
    'flipSinToCos',
  ],
  [
    'new TimestepEmbedding',
    (o) => new latte.TimestepEmbedding({ inChannels: 8, timeEmbedDim: 4, ...o }),
    'act_fn',
    'actFn',
  ],
  [
    'new CombinedTimestepSizeEmbeddings',
    (o) => new latte.CombinedTimestepSizeEmbeddings({ embeddingDim: 24, sizeEmbDim: 8, ...o }),
    'use_additional_conditions',
    'useAdditionalConditions',
  ],
  [
    'new CaptionProjection',
    (o) => new latte.CaptionProjection({ inFeatures: 8, hiddenSize: 4, ...o }),
    'num_tokens',
    'numTokens',
  ],
  [
    'new AdaLayerNormSingle',
    (o) => new latte.AdaLayerNormSingle({ embeddingDim: 24, ...o }),
    'torch_dtype',
    'dtype',
  ],
  ['loadStateDict', (o) => caption().loadStateDict({}, any(o)), 'strictly', 'strict'],
  ['forwardSync', (o) => smallPatchEmbed().forwardSync(random([1, 4, 8, 8]), o), 'output', 'out'],
  [
    'conditions',
    (o) => smallCombined().forwardSync({ timestep: [1], ...o }),
    'aspect_ratio',
    'aspectRatio',
  ],
  [
    'out of AdaLayerNormSingle',
    (out) => smallAdaLayerNorm().forwardSync({ timestep: [1] }, { out }),
    'modulaton',
    'modulation',
  ],
  ['get1dSincosPosEmbed', (o) => latte.get1dSincosPosEmbed(8, 4, o), 'base_size', 'baseSize'],
  [
    'get1dSincosPosEmbedFromGrid',
    (o) => latte.get1dSincosPosEmbedFromGrid(8, [1], o),
    'dType',
    'dtype',
  ],
  ['get2dSincosPosEmbed', (o) => latte.get2dSincosPosEmbed(8, 4, o), 'cls_token', 'clsToken'],
  [
    'get2dSincosPosEmbedFromGrid',
    (o) => latte.get2dSincosPosEmbedFromGrid(8, [1, 2], o),
    'type',
    'dtype',
  ],
  ['getTimestepEmbedding', (o) => latte.getTimestepEmbedding([1], 8, o), 'max_period', 'maxPeriod'],
  ['Tensor.zeros', (o) => Tensor.zeros([1], o), 'devise', 'device'],
  ['memoryUsage', (o) => latte.memoryUsage(o), 'devcie', 'device'],
  [
    'fromDevicePointer',
    (o) => Tensor.fromDevicePointer(1n, 'float32', [1], 'cpu', any(o)),
    'events',
    'event',
  ],
];

describe('an option of an unknown name', () => {
  it.each(misspelt)('of %s is refused with the nearest name', (_, call, given, meant) => {
    refused(() => call({ [given]: true }), 'ERR_VALUE', `"${given}"`, `did you mean "${meant}"?`);
  });

  it('is refused without another name if none is near', () => {
    refused(() => Tensor.zeros([1], any({ guidance: 1 })), 'ERR_VALUE', /no "guidance" \(known: /);
  });

  it.each(['signal', 'out'])('%s among the conditions belongs to the second argument', (name) => {
    refused(
      () => smallCombined().forwardSync(any({ timestep: [1], [name]: 1 })),
      'ERR_VALUE',
      `no "${name}"; it belongs to the second argument`,
    );
  });

  it('of asynchronous functions rejects', async () => {
    await rejected(
      () => latte.LatteEmbeddings.fromPretrained('/nowhere', any({ torch_dtype: 'float16' })),
      'ERR_VALUE',
      'torch_dtype',
      '"dtype"',
    );
    await rejected(() => random([1]).to(any({ Dtype: 'float16' })), 'ERR_VALUE', '"dtype"');
    const layer = smallPatchEmbed();
    await rejected(() => layer.forward(random([1, 4, 8, 8]), any({ ouput: 1 })), 'ERR_VALUE', 'ou');
  });

  it('has no effect if it is undefined', () => {
    expect(latte.get1dSincosPosEmbed(8, 4, any({ base_size: undefined })).shape).toEqual([4, 8]);
  });

  it('may be inherited, as known ones may', () => {
    const inherited = Object.create({ device: 'cpu' }) as object;
    expect(Tensor.zeros([1], inherited).device).toBe('cpu');
    const both = Object.create({ dtype: 'float32', devise: 'cpu' }) as object;
    refused(() => Tensor.zeros([1], both), 'ERR_VALUE', 'devise');
  });
});

describe('a value that is no options object', () => {
  const strange: [string, unknown, string][] = [
    ['a Tensor', random([1]), 'Tensor'],
    ['a Map', new Map([['device', 'cpu']]), 'Map'],
    ['an AbortSignal', new AbortController().signal, 'AbortSignal'],
    ['a typed array', new Float32Array(1), 'Float32Array'],
    ['a promise', Promise.resolve({}), 'Promise'],
    ['a revoked proxy', revoked(), 'a revoked proxy'],
    ['an array', [], '[]'],
    ['a function', () => 1, 'a function'],
  ];
  it.each(strange)('%s', async (_, value, shown) => {
    refused(() => Tensor.zeros([1], any(value)), 'ERR_VALUE', 'options', shown);
    refused(() => new latte.PatchEmbed(any(value)), 'ERR_VALUE', 'options', shown);
    refused(() => smallCombined().forwardSync(any(value)), 'ERR_VALUE', 'conditions', shown);
    const ada = smallAdaLayerNorm();
    await rejected(
      () => ada.forward({ timestep: [1] }, { out: any(value) }),
      'ERR_VALUE',
      'out',
      shown,
    );
    const layer = smallPatchEmbed();
    await rejected(() => layer.forward(random([1, 4, 8, 8]), any(value)), 'ERR_VALUE', shown);
  });
});

describe('options are the last argument, or take the place of the optional one before it', () => {
  it.each([
    ['captionProjection', caption],
    ['timestepEmbedding', timestepEmbedding],
  ])('%s.forward(x, { out, signal })', async (_, make) => {
    const layer = make() as latte.CaptionProjection;
    const x = random([2, 8]);
    const right = await (await layer.forward(x)).to('cpu');
    for (const place of [[], [undefined], [null]]) {
      const out = Tensor.zeros([2, 4], { device: defaultDevice });
      expect(await layer.forward(x, ...(any([...place, { out }]) as []))).toBe(out);
      expect((await out.to('cpu')).data).toEqual(right.data);
      expect(layer.forwardSync(x, ...(any([...place, { out }]) as []))).toBe(out);
      const signal = AbortSignal.abort();
      await rejected(() => layer.forward(x, ...(any([...place, { signal }]) as [])), 'ERR_ABORTED');
    }
    refused(() => layer.forwardSync(x, any({ out: 1 })), 'ERR_VALUE', 'out');
    refused(() => layer.forwardSync(x, any({ ouput: 1 })), 'ERR_VALUE', 'ouput');
    refused(() => layer.forwardSync(x, any({}), {}), 'ERR_VALUE', 'an object');
    refused(() => layer.forwardSync(x, null, {}, ...(any([{}]) as [])), 'ERR_VALUE', 'argument 4');
  });

  it('forceDropIds may be any numbers', () => {
    const layer = caption();
    for (const ids of [true, 1, [0, 1], new Int32Array(2), random([2])]) {
      expect(layer.forwardSync(random([2, 8]), ids).shape).toEqual([2, 4]);
    }
    for (const ids of ['x', new Map(), Symbol('s'), new AbortController().signal]) {
      refused(() => layer.forwardSync(random([2, 8]), any(ids)), 'ERR_VALUE');
    }
  });

  it('an argument too many is refused', async () => {
    const call = (run: (...more: []) => unknown) => () => run(...(any([{ out: 1 }]) as []));
    const x = random([1, 4, 8, 8]);
    for (const run of [
      call((...more) => smallPatchEmbed().forwardSync(x, {}, ...more)),
      call((...more) => smallPatchEmbed().forwardSync(x, undefined, ...more)),
      call((...more) => smallCombined().forwardSync({ timestep: [1] }, {}, ...more)),
      call((...more) => smallAdaLayerNorm().forwardSync({ timestep: [1] }, {}, ...more)),
      call((...more) => new latte.PatchEmbed({}, ...more)),
      call((...more) => new Tensor('float32', [1], [1], ...more)),
      call((...more) => Tensor.zeros([1], {}, ...more)),
      call((...more) => latte.getTimestepEmbedding([1], 8, {}, ...more)),
      call((...more) => smallPatchEmbed().stateDict(...more)),
    ]) {
      refused(run, 'ERR_VALUE', 'argument');
    }
    await rejected(() => x.to('cpu', ...(any(['float16']) as [])), 'ERR_VALUE', 'float16');
    await rejected(
      () => latte.openCheckpoint('/nowhere', ...(any([{ variant: 'fp16' }]) as [])),
      'ERR_VALUE',
      'argument 2',
    );
  });

  it('unless Array.prototype.map adds its index and array', async () => {
    const [opened] = ['/nowhere.safetensors'].map(latte.openCheckpoint);
    await rejected(() => opened!, 'ERR_CHECKPOINT');
  });
});

describe('out', () => {
  it("on another device than the layer's is refused", async () => {
    const layer = new latte.Timesteps({
      ...{ numChannels: 8, flipSinToCos: true, downscaleFreqShift: 0 },
      device: 'cpu',
    });
    const out = Tensor.zeros([1, 8], { device: defaultDevice });
    if (defaultDevice === 'cpu') {
      // A property that the caller defines on a tensor does not change its device.
      Object.defineProperty(out, 'device', { value: 'npu:0' });
      expect(await layer.forward([1], { out })).toBe(out);
      return;
    }
    await rejected(() => layer.forward([1], { out }), 'ERR_VALUE', 'out', 'npu:0', 'cpu');
    refused(() => layer.forwardSync([1], { out }), 'ERR_VALUE', 'out', 'npu:0', 'cpu');
  });
});

describe('an AbortSignal', () => {
  it('that only looks like one is refused', async () => {
    const layer = smallPatchEmbed();
    const false_ = [Object.create(AbortSignal.prototype), revoked(), {}, null, 5, 'abort'];
    for (const signal of false_) {
      const run = () => layer.forward(random([1, 4, 8, 8]), { signal: any(signal) });
      await rejected(run, 'ERR_VALUE', 'signal must be an AbortSignal');
    }
  });

  it('of many waiting forwards has one listener, and none when they are done', async () => {
    const layer = smallPatchEmbed();
    const { signal } = new AbortController();
    const waiting = Array.from({ length: 32 }, () =>
      layer.forward(random([1, 4, 8, 8]), { signal }),
    );
    expect(getEventListeners(signal, 'abort')).toHaveLength(1);
    await Promise.all(waiting);
    expect(getEventListeners(signal, 'abort')).toHaveLength(0);
  });

  it('ends all of them', async () => {
    const layer = smallPatchEmbed();
    const controller = new AbortController();
    const latent = random([64, 4, 8, 8]);
    const waiting = Array.from({ length: 32 }, () =>
      layer.forward(latent, { signal: controller.signal }),
    );
    controller.abort(new Error('enough'));
    const ends = await Promise.allSettled(waiting);
    // The last ones cannot have begun, because they wait behind the first.
    for (const end of ends.slice(-8)) {
      expect(end).toMatchObject({ status: 'rejected', reason: { code: 'ERR_ABORTED' } });
    }
    expect(getEventListeners(controller.signal, 'abort')).toHaveLength(0);
  });

  it('ends a forward, though another listener keeps the event from all others', async () => {
    const layer = smallPatchEmbed();
    const controller = new AbortController();
    controller.signal.addEventListener('abort', (event) => event.stopImmediatePropagation());
    const latent = random([64, 4, 8, 8]);
    // The first forward packs the weights, which the layer keeps.
    (await layer.forward(latent)).dispose();
    const { live } = latte.memoryUsage({ device: layer.device });
    const forward = layer.forward(latent, { signal: controller.signal });
    controller.abort();
    await rejected(() => forward, 'ERR_ABORTED');
    expect(latte.memoryUsage({ device: layer.device }).live).toBeLessThanOrEqual(live);
  });

  it("whose own properties throw is read by the runtime's functions", async () => {
    const layer = smallPatchEmbed();
    const { signal } = new AbortController();
    for (const name of ['addEventListener', 'removeEventListener', 'aborted', 'reason']) {
      Object.defineProperty(signal, name, {
        get() {
          throw new Error(name);
        },
      });
    }
    const out = Tensor.zeros([1, 16, 16], { device: layer.device });
    expect(await layer.forward(random([1, 4, 8, 8]), { out, signal })).toBe(out);
    expect(await layer.forward(random([1, 4, 8, 8]), { out })).toBe(out);
  });
});

describe('values of another realm', () => {
  it('a Map is a state dict', async () => {
    const weights = caption().stateDict();
    const map = otherRealm<Map<string, Tensor>>('new Map()');
    for (const [name, tensor] of Object.entries(weights)) map.set(name, tensor);
    const layer = new latte.CaptionProjection({ inFeatures: 8, hiddenSize: 4 });
    layer.loadStateDict(map);
    expect(Object.keys(layer.stateDict())).toEqual(Object.keys(weights));
    map.set('more', random([1]));
    refused(() => layer.loadStateDict(map), 'ERR_VALUE', '"more"');
    // The Map's entries are read: the unknown name below is refused.
    map.set('__metadata__', random([1]));
    await rejected(() => writeSafetensors('/nowhere/x', map), 'ERR_VALUE', '__metadata__');
  });

  it('objects are options', () => {
    const options = otherRealm<{ device: string }>('({ device: "cpu" })');
    expect(Tensor.zeros([1], options).device).toBe('cpu');
    refused(() => Tensor.zeros([1], otherRealm('new Map()')), 'ERR_VALUE', 'Map');
  });
});

describe('a value that does not hold tensors by name', () => {
  it.each<[string, unknown]>([
    ['a proxy of a Map', new Proxy(new Map([['x', random([1])]]), {})],
    ['a revoked proxy', revoked()],
    ['a Tensor', random([1])],
    ['a Set', new Set()],
    ['a typed array', new Float32Array(1)],
    ['a string', 'abc'],
  ])('%s', async (_, value) => {
    refused(() => caption().loadStateDict(any(value)), 'ERR_VALUE', 'stateDict');
    await rejected(() => writeSafetensors('/nowhere/x', any(value)), 'ERR_VALUE', 'tensors');
  });
});

describe('revoked proxies', () => {
  it('are refused by name in every argument', async () => {
    const value = any(revoked());
    const text = 'a revoked proxy';
    refused(() => new Tensor('float32', value), 'ERR_DTYPE', 'data', text);
    refused(() => new Tensor('float32', [1], value), 'ERR_SHAPE', 'shape', text);
    refused(() => new Tensor(value, [1]), 'ERR_DTYPE', text);
    refused(() => Tensor.zeros(value), 'ERR_SHAPE', text);
    refused(() => latte.get2dSincosPosEmbed(8, value), 'ERR_VALUE', text);
    refused(() => latte.get1dSincosPosEmbedFromGrid(8, value), 'ERR_VALUE', 'pos', text);
    refused(() => latte.getTimestepEmbedding(value, 8), 'ERR_VALUE', 'timesteps', text);
    refused(() => smallPatchEmbed().forwardSync(value), 'ERR_VALUE', 'latent', text);
    refused(
      () => smallPatchEmbed().forwardSync(random([1, 4, 8, 8]), { out: value }),
      'ERR_VALUE',
      'out',
      text,
    );
    refused(() => smallCombined().forwardSync({ timestep: value }), 'ERR_VALUE', text);
    await rejected(() => random([1]).to(value), 'ERR_VALUE', 'target', text);
    await rejected(() => latte.openCheckpoint(value), 'ERR_VALUE', 'path', text);
    await rejected(() => latte.LatteEmbeddings.fromPretrained(value), 'ERR_VALUE', 'folder', text);
  });
});
