import { LatteError, show } from '../errors.js';
import { repeatRows, tensorRows } from '../tensor/operations.js';
import type { Tensor } from '../tensor/tensor.js';

/** The inputs of a model's blocks for one timestep, by the names of the timestep layer's results. */
export type TransformerStep = Readonly<Record<string, Tensor>>;

/**
 * Everything of a prompt that does not depend on the latent, computed once for all denoising steps.
 * The plan owns its tensors: dispose the plan, not them.
 */
export class TransformerPlan {
  /** The timesteps in the order they were given. */
  readonly timesteps: readonly number[];
  /** `[B, L, D]`: the text's states; null for a model whose layers take no text. */
  readonly encoderHiddenStates: Tensor | null;
  /** `[B, s, D]`: the image's states; null without an image. */
  readonly encoderHiddenStatesImage: Tensor | null;
  readonly #steps: readonly TransformerStep[];
  #disposed = false;

  /** @internal */
  constructor(
    timesteps: readonly number[],
    steps: readonly TransformerStep[],
    text: Tensor | null,
    image: Tensor | null,
  ) {
    this.timesteps = timesteps;
    this.#steps = steps;
    this.encoderHiddenStates = text;
    this.encoderHiddenStatesImage = image;
  }

  /**
   * The tensors of `timesteps[i]`, each of B rows: `temb`, or `modulation` and `embeddedTimestep`, or
   * Wan's `temb` and `timestepProj`. `prepare` made them, so this method computes nothing.
   * @throws LatteError ERR_VALUE if there is no such step, ERR_DISPOSED.
   */
  step(i: number): TransformerStep {
    return stepAt(this.#steps, i, this.#disposed);
  }

  /** Disposes all tensors of the plan; a second call does nothing. */
  dispose(): void {
    this.#disposed = true;
    this.encoderHiddenStates?.dispose();
    this.encoderHiddenStatesImage?.dispose();
    for (const step of this.#steps) for (const tensor of Object.values(step)) tensor.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}

/** The i-th step of a plan. @internal */
export function stepAt<Step>(steps: readonly Step[], i: number, disposed: boolean): Step {
  if (disposed) throw new LatteError('ERR_DISPOSED', 'the plan was disposed');
  const step = Number.isInteger(i) ? steps[i] : undefined;
  if (step !== undefined) return step;
  const last = steps.length - 1;
  throw new LatteError(
    'ERR_VALUE',
    `i must be a whole number from 0 to ${last}, but is ${show(i)}`,
  );
}

/**
 * Cuts results [S·r, …] into steps of `batch` rows, on their device; r is `batch`, or 1 if one row
 * serves the whole batch. The results are disposed.
 * @internal
 */
export async function stepsOf<Name extends string>(
  results: Readonly<Record<Name, Tensor>>,
  count: number,
  batch: number,
): Promise<Readonly<Record<Name, Tensor>>[]> {
  const parts: Tensor[] = [];
  const whole: Tensor[] = [];
  const steps = Array.from({ length: count }, () => ({}) as Record<Name, Tensor>);
  try {
    for (const [name, result] of Object.entries<Tensor>(results) as [Name, Tensor][]) {
      const times = (batch * count) / Math.max(result.shape[0]!, 1);
      const all = times === 1 ? result : await repeatRows(result, times);
      whole.push(all);
      for (const [i, step] of steps.entries()) {
        step[name] = tensorRows(all, i * batch, batch);
        parts.push(step[name]);
      }
    }
    return steps.map((step) => Object.freeze(step));
  } catch (error) {
    for (const part of parts) part.dispose();
    throw error;
  } finally {
    // The parts keep the memory that they share with these tensors.
    for (const tensor of [...whole, ...Object.values<Tensor>(results)]) tensor.dispose();
  }
}
