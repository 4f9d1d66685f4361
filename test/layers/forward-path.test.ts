import { describe, expect, it } from 'vitest';
import { Tensor, Timesteps } from '../../lib/index.js';
import { native } from '../../lib/native.js';

const layer = new Timesteps({ numChannels: 8, flipSinToCos: true, downscaleFreqShift: 0 });
const input = new Tensor('float32', [0, 0]);

/** Whether a value is a tensor handle of the addon. */
function isHandle(value: unknown): boolean {
  try {
    native.tensorShape(value as never);
    return true;
  } catch {
    return false;
  }
}

/** Runs a function while a property of a built-in object is replaced. */
async function replacing<T>(
  target: object,
  name: PropertyKey,
  descriptor: PropertyDescriptor,
  run: () => T,
): Promise<Awaited<T>> {
  const before = Object.getOwnPropertyDescriptor(target, name);
  Object.defineProperty(target, name, { configurable: true, ...descriptor });
  try {
    return await run();
  } finally {
    if (before === undefined) Reflect.deleteProperty(target, name);
    else Object.defineProperty(target, name, before);
  }
}

const thrower = {
  get(): never {
    throw new Error('thrown by a getter');
  },
};

/** A `then` getter that throws for a forward's result, but not for the test runner's objects. */
const thenThrower = {
  get(this: unknown): undefined {
    const first: unknown = Array.isArray(this) ? this[0] : this;
    if (first instanceof Tensor || isHandle(first)) throw new Error('thrown by then');
    return undefined;
  },
};

describe('a forward in a program that has changed the built-in objects', () => {
  it('resolves whatever Array.prototype.then does', async () => {
    const started = await replacing(Array.prototype, 'then', thenThrower, async () => {
      const first = await layer.forward(input);
      return first.shape.length;
    });
    expect(started).toBe(2);
    expect((await layer.forward(input)).shape).toEqual([2, 8]);
  });

  it('settles once whatever Object.prototype.then does', async () => {
    const settled: string[] = [];
    await replacing(Object.prototype, 'then', thenThrower, async () => {
      const forwards = [layer.forward(input), layer.forward(input)];
      for (const forward of forwards) {
        forward.then(
          () => settled.push('resolved'),
          () => settled.push('rejected'),
        );
      }
      for (let i = 0; i < 1000 && settled.length < 2; i++) {
        await new Promise<void>((resolve) => setImmediate(resolve));
      }
    });
    expect(settled).toHaveLength(2);
    expect((await layer.forward(input)).shape).toEqual([2, 8]);
  });

  it('reads the arrays that it was given, whatever Object.prototype.data is', async () => {
    const victim = new Float32Array(2 ** 16);
    const accessor = {
      get() {
        structuredClone(victim.buffer, { transfer: [victim.buffer] });
        return new Float32Array(2);
      },
      set() {
        // The setter drops the assigned value.
      },
    };
    await replacing(Object.prototype, 'data', accessor, async () => {
      const large = new Tensor('float32', victim);
      const out = Tensor.zeros([2 ** 16, 8], { device: layer.device });
      const result = await layer.forward(large, { out });
      expect(result).toBe(out);
      expect(victim.length).toBe(2 ** 16);
    });
  });

  it.each([
    [Array.prototype, 'map'],
    [Array.prototype, 'push'],
    [Array.prototype, Symbol.iterator],
    [Function.prototype, 'call'],
    [Function.prototype, 'apply'],
    [WeakMap.prototype, 'get'],
    [Promise.prototype, 'then'],
  ] as [object, PropertyKey][])('shows no handle to a replaced method %#', async (target, name) => {
    const original = Reflect.get(target, name) as (...args: unknown[]) => unknown;
    let seen = 0;
    const look = (value: unknown): void => {
      if (isHandle(value)) seen++;
      if (Array.isArray(value)) {
        for (let i = 0; i < value.length; i++) if (isHandle(value[i])) seen++;
      }
    };
    let busy = false;
    const spy = {
      writable: true,
      value(this: unknown, ...args: unknown[]): unknown {
        const result: unknown = Reflect.apply(original, this, args);
        if (busy) return result;
        busy = true;
        look(this);
        for (let i = 0; i < args.length; i++) look(args[i]);
        look(result);
        busy = false;
        return result;
      },
    };
    await replacing(target, name, spy, async () => {
      const result = await layer.forward(input, { signal: new AbortController().signal });
      layer.forwardSync(input);
      await result.to({ dtype: 'float16' });
    });
    expect(seen).toBe(0);
  });

  it('shows no handle to a setter of elements', async () => {
    let seen = 0;
    const setter = {
      set(value: unknown) {
        if (isHandle(value)) seen++;
      },
    };
    await replacing(Array.prototype, 0, setter, () => {
      layer.forwardSync(input);
    });
    expect(seen).toBe(0);
    for (
      let at: object = layer;
      at !== Object.prototype;
      at = Object.getPrototypeOf(at) as object
    ) {
      expect(Object.getOwnPropertyNames(at)).not.toContain('checkAlive');
    }
  });
});

describe('a forward with objects that the caller has changed', () => {
  it('releases out though signal.removeEventListener throws', async () => {
    const out = Tensor.zeros([2, 8], { device: layer.device });
    const { signal } = new AbortController();
    Object.defineProperty(signal, 'removeEventListener', thrower);
    for (let i = 0; i < 2; i++) {
      const outcome = await layer.forward(input, { out, signal }).catch(() => undefined);
      expect(outcome).toBe(out);
    }
  });

  it('reads no property of a tensor to find its device', async () => {
    const tensor = new Tensor('float32', [0, 0]);
    Object.defineProperty(tensor, 'device', thrower);
    expect((await layer.forward(tensor)).shape).toEqual([2, 8]);
  });
});
