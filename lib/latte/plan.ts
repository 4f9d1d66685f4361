import { repeatRows, tensorRows } from '../tensor/operations.js';
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
    disposeSteps(this.#steps);
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}

/**
 * Cuts the embeddings of all timesteps into steps of `batch` rows each, on the embeddings' device.
 * @param modulation [S·r, 6D]; r is `batch`, or 1 if one row serves the whole batch.
 * @param embeddedTimestep [S·r, D].
 * @internal
 */
export async function cutSteps(
  modulation: Tensor,
  embeddedTimestep: Tensor,
  stepCount: number,
  batch: number,
): Promise<LatteStep[]> {
  const times = (batch * stepCount) / Math.max(modulation.shape[0]!, 1);
  const whole: Tensor[] = [];
  const parts: Tensor[] = [];
  const steps: LatteStep[] = [];
  try {
    for (const source of [modulation, embeddedTimestep]) {
      whole.push(await (times === 1 ? source.to(source.device) : repeatRows(source, times)));
    }
    const rows = (tensor: Tensor, step: number): Tensor => {
      const part = tensorRows(tensor, step * batch, batch);
      parts.push(part);
      return part;
    };
    for (let i = 0; i < stepCount; i++) {
      steps.push({ modulation: rows(whole[0]!, i), embeddedTimestep: rows(whole[1]!, i) });
    }
  } catch (error) {
    for (const part of parts) part.dispose();
    throw error;
  } finally {
    // The parts keep the memory that they share with these tensors.
    for (const tensor of whole) tensor.dispose();
  }
  return steps;
}

function disposeSteps(steps: readonly LatteStep[]): void {
  for (const { modulation, embeddedTimestep } of steps) {
    modulation.dispose();
    embeddedTimestep.dispose();
  }
}
