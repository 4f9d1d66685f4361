import type { Tensor } from '../tensor/tensor.js';
import { stepAt } from '../transformer/plan.js';

/** The inputs of the transformer's blocks for one timestep. The plan owns the tensors. */
export interface LatteStep {
  /** `[B, 6D]`: shift, scale and gate of attention and of feed-forward; all blocks take the same. */
  readonly modulation: Tensor;
  /** `[B, D]`: the embedding of the timestep (and sizes). */
  readonly embeddedTimestep: Tensor;
}

/**
 * Everything of a prompt that does not depend on the latent, computed once for all denoising steps.
 * The plan owns its tensors: dispose the plan, not them.
 */
export class LattePlan {
  /** `[B, L, D]`: the projected caption, in the layers' dtype. */
  readonly encoderHiddenStates: Tensor;
  /** The timesteps in the order they were given. */
  readonly timesteps: readonly number[];
  readonly #steps: readonly LatteStep[];
  #disposed = false;

  /** @internal */
  constructor(
    timesteps: readonly number[],
    encoderHiddenStates: Tensor,
    steps: readonly LatteStep[],
  ) {
    this.timesteps = timesteps;
    this.encoderHiddenStates = encoderHiddenStates;
    this.#steps = steps;
  }

  /**
   * The tensors of `timesteps[i]`, on the layers' device. `prepare` made them, so this method computes
   * and copies nothing, and returns the same tensors at every call.
   * @throws LatteError ERR_VALUE if there is no such step, ERR_DISPOSED.
   */
  step(i: number): LatteStep {
    return stepAt(this.#steps, i, this.#disposed);
  }

  /** Disposes all tensors of the plan; a second call does nothing. */
  dispose(): void {
    this.#disposed = true;
    this.encoderHiddenStates.dispose();
    for (const step of this.#steps) {
      step.modulation.dispose();
      step.embeddedTimestep.dispose();
    }
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}
