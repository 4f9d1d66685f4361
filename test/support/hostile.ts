import { expect } from 'vitest';
import { LatteError } from '../../lib/index.js';

/** The error that the hostile values throw. */
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

/** An object that throws when it is converted to a string or a number. */
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

/** Calls a function, and accepts every error that the library may throw. */
export function survives(run: () => unknown): void {
  try {
    run();
  } catch (error) {
    // For wrong types the addon throws plain errors, which callers of lib/ never get.
    const fine =
      error instanceof LatteError ||
      error instanceof Mine ||
      error instanceof TypeError ||
      error instanceof RangeError ||
      / was expected$/.test((error as Error).message);
    expect(fine, String(error)).toBe(true);
  }
}
