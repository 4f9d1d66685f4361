import { expect } from 'vitest';
import { LatteError } from '../../lib/index.js';

/** The error that hostile values throw. */
export class Mine extends Error {}

/** A proxy that throws at every operation. */
export const bomb: object = new Proxy(
  {},
  {
    get() {
      throw new Mine('get');
    },
    has() {
      throw new Mine('has');
    },
    ownKeys() {
      throw new Mine('ownKeys');
    },
    getPrototypeOf() {
      throw new Mine('getPrototypeOf');
    },
    getOwnPropertyDescriptor() {
      throw new Mine('getOwnPropertyDescriptor');
    },
  },
);

/** Throws when it is turned into a string or a number. */
export const unprintable = {
  toString() {
    throw new Mine('toString');
  },
  valueOf() {
    throw new Mine('valueOf');
  },
  [Symbol.toPrimitive]() {
    throw new Mine('toPrimitive');
  },
  get [Symbol.toStringTag]() {
    throw new Mine('toStringTag');
  },
};

/** Calls a function, and accepts the errors that a careful library may throw. */
export function survives(run: () => unknown): void {
  try {
    run();
  } catch (error) {
    // The addon refuses wrong types with plain errors: callers of lib/ never get these.
    const fine =
      error instanceof LatteError ||
      error instanceof Mine ||
      error instanceof TypeError ||
      error instanceof RangeError ||
      / was expected$/.test((error as Error).message);
    expect(fine, String(error)).toBe(true);
  }
}
