import type { Tensor } from '../index.js';

/** The tensors of a forward's result: of one tensor, or of an object with tensors and null. */
export function resultsOf(result: unknown): Tensor[] {
  const given = result as Tensor | Readonly<Record<string, Tensor | null>>;
  const named = 'dispose' in given ? { result: given as Tensor } : given;
  return Object.values(named).filter((each) => each !== null);
}
