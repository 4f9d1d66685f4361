import { expect } from 'vitest';
import { LatteError } from '../../lib/index.js';

/** What hostile values throw. */
export class Mine extends Error {}

/** Throws at whatever is asked of it. */
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

/** Runs it and takes any of the errors that a careful library may end in. */
export function survives(run: () => unknown): void {
  try {
    run();
  } catch (error) {
    // The addon's own refusals of wrong types are plain errors: nobody gets there by mistake.
    const fine =
      error instanceof LatteError ||
      error instanceof Mine ||
      error instanceof TypeError ||
      error instanceof RangeError ||
      / was expected$/.test((error as Error).message);
    expect(fine, String(error)).toBe(true);
  }
}
