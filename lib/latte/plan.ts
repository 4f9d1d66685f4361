import { repeatRows, tensorRows } from '../tensor/operations.js';
import type { Tensor } from '../tensor/tensor.js';
import { stepAt } from '../transformer/plan.js';

/** What a transformer's blocks need of one timestep; the tensors belong to the plan. */
export interface LatteStep {
  /** `[B, 6D]`: shift, scale and gate of each block's attention and feed-forward, of all blocks. */
  readonly modulation: Tensor;
  /** `[B, D]`: the timestep (and sizes), embedded. */
  readonly embeddedTimestep: Tensor;
}

/**
 * Everything of a prompt that does not depend on the latent, computed once for all denoising steps.
 * The plan owns its tensors: {@link dispose} gives back all of them, and nobody else should.
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
   * The tensors of `timesteps[i]`, on the layers' device. They were made by `prepare`: the same two
   * at every call, so nothing is computed or copied here. The steps of a plan share its memory.
   * @throws LatteError ERR_VALUE when there is no such step, ERR_DISPOSED.
   */
  step(i: number): LatteStep {
    return stepAt(this.#steps, i, this.#disposed);
  }

  /** Gives back all tensors of the plan; a second call does nothing. */
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
 * Cuts the embeddings of all timesteps into steps of `batch` rows, on their device.
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
    // The steps keep what they need.
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
