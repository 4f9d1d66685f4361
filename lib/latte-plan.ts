import { LatteError, show } from './errors.js';
import { bytesOf } from './tensor-bytes.js';
import { Tensor } from './tensor.js';

/** What a transformer's blocks need of one timestep; the tensors belong to the plan. */
export interface LatteStep {
  /** [B, 6D]: shift, scale and gate of each block's attention and feed-forward, of all blocks. */
  readonly modulation: Tensor;
  /** [B, D]: the timestep (and sizes), embedded. */
  readonly embeddedTimestep: Tensor;
}

/**
 * Everything of a prompt that does not depend on the latent, computed once for all denoising steps.
 * The plan owns its tensors: {@link dispose} gives back all of them, and nobody else should.
 */
export class LattePlan {
  /** [B, L, D]: the projected caption, in the layers' dtype. */
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
   * The tensors of `timesteps[i]`. They were made by `prepare`: the same two at every call, in
   * memory of their own, so nothing is computed or copied here.
   * @throws LatteError ERR_VALUE when there is no such step, ERR_DISPOSED.
   */
  step(i: number): LatteStep {
    if (this.#disposed) throw new LatteError('ERR_DISPOSED', 'the plan was disposed');
    const step = Number.isInteger(i) ? this.#steps[i] : undefined;
    if (step === undefined) {
      throw new LatteError(
        'ERR_VALUE',
        `i must be a whole number from 0 to ${this.#steps.length - 1}, but is ${show(i)}`,
      );
    }
    return step;
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
 * Cuts the embeddings of all timesteps into steps of `batch` rows.
 * @param modulation [S·r, 6D], where each step has r = `batch` rows, or one that stands for all.
 * @param embeddedTimestep [S·r, D].
 * @internal
 */
export async function cutSteps(
  modulation: Tensor,
  embeddedTimestep: Tensor,
  stepCount: number,
  batch: number,
): Promise<LatteStep[]> {
  const steps: LatteStep[] = [];
  const { device } = modulation;
  const made: Tensor[] = [];
  const keep = (tensor: Tensor): Tensor => {
    made.push(tensor);
    return tensor;
  };
  const local = [await modulation.to('cpu'), await embeddedTimestep.to('cpu')] as const;
  try {
    for (let i = 0; i < stepCount; i++) {
      const cut: Tensor[] = [];
      for (const source of local) {
        const rows = keep(cutRows(source, i, stepCount, batch));
        cut.push(device === 'cpu' ? rows : keep(await rows.to(device)));
        if (device !== 'cpu') rows.dispose();
      }
      steps.push({ modulation: cut[0]!, embeddedTimestep: cut[1]! });
    }
  } catch (error) {
    for (const tensor of made) tensor.dispose();
    throw error;
  } finally {
    for (const tensor of local) tensor.dispose();
  }
  return steps;
}

/** The rows of one step in a tensor of their own, repeated until there are `batch`. */
function cutRows(source: Tensor, step: number, stepCount: number, batch: number): Tensor {
  const tensor = Tensor.zeros([batch, source.shape[1]!], { dtype: source.dtype });
  const stepBytes = source.byteLength / stepCount;
  const from = bytesOf(source).subarray(step * stepBytes, (step + 1) * stepBytes);
  const to = bytesOf(tensor);
  for (let at = 0; at < to.length; at += from.length) to.set(from, at);
  return tensor;
}

function disposeSteps(steps: readonly LatteStep[]): void {
  for (const { modulation, embeddedTimestep } of steps) {
    modulation.dispose();
    embeddedTimestep.dispose();
  }
}
