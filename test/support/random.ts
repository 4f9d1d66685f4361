/**
 * Numbers that look random and are the same in every run: a small integer hash of a seed and a counter
 * (murmur3's finaliser).
 */
export function hash(seed: number, counter: number): number {
  let x = (Math.imul(seed, 0x9e3779b1) ^ Math.imul(counter + 1, 0x85ebca6b)) >>> 0;
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return (x ^ (x >>> 16)) >>> 0;
}

/** A seed made from a name, so that every tensor of a case has numbers of its own. */
export function seedOf(name: string): number {
  let seed = 0;
  for (const letter of name) seed = hash(seed, letter.codePointAt(0)!);
  return seed;
}

/** Numbers that are evenly distributed over (−limit, limit). */
export function uniform(name: string, length: number, limit = 1): Float64Array {
  const seed = seedOf(name);
  const values = new Float64Array(length);
  // A counted loop, because a full-size case has millions of numbers.
  for (let i = 0; i < length; i++) values[i] = ((hash(seed, i) + 0.5) / 2 ** 31 - 1) * limit;
  return values;
}

/** Whole numbers from −limit to limit. */
export function integers(name: string, length: number, limit: number): Float64Array {
  const seed = seedOf(name);
  return new Float64Array(length).map((_, i) => (hash(seed, i) % (2 * limit + 1)) - limit);
}
