import { randomNormal } from './product.js';

export interface Array32 {
  data: Float32Array<ArrayBuffer>;
  shape: number[];
}

/** Weights by the reference's names, and inputs in the order of the layer's arguments. */
export interface Data {
  weights: Record<string, Array32>;
  inputs: Record<string, Array32>;
}

/** The seed of all numbers, so that each run computes the same. */
const seed = 7;

export const sizeOf = (shape: readonly number[]): number =>
  shape.reduce((size, extent) => size * extent, 1);

export function random(name: string, shape: number[], deviation = 1): Array32 {
  const data = randomNormal(sizeOf(shape), seed, name);
  if (deviation !== 1) for (let i = 0; i < data.length; i++) data[i]! *= deviation;
  return { data, shape };
}

/** Random weights that keep the variance of their input, and a bias. */
export function linear(
  name: string,
  outputs: number,
  ...inputs: number[]
): Record<string, Array32> {
  return {
    [`${name}.weight`]: random(`${name}.weight`, [outputs, ...inputs], sizeOf(inputs) ** -0.5),
    [`${name}.bias`]: random(`${name}.bias`, [outputs], 0.1),
  };
}

/** Concatenates arrays. */
export function joined(arrays: readonly Float32Array[]): Float32Array {
  const all = new Float32Array(arrays.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const array of arrays) {
    all.set(array, at);
    at += array.length;
  }
  return all;
}
