import type { Tensor } from '../../tensor/tensor.js';

/** A plan of LatteEmbeddings or TransformerEmbeddings. */
interface Plan<Name extends string> {
  readonly timesteps: readonly number[];
  step(i: number): Readonly<Record<Name, Tensor>>;
}

/** Stacks a tensor of each step of a plan to one tensor [steps, …] on the host. */
export async function stackSteps<Name extends string>(
  plan: Plan<Name>,
  name: Name,
): Promise<Tensor> {
  const { Tensor } = await import('../../index.js');
  const { shape, dtype, size } = plan.step(0)[name];
  const stacked = Tensor.zeros([plan.timesteps.length, ...shape], { dtype });
  const target = stacked.data as Float32Array | Uint16Array;
  for (const i of plan.timesteps.keys()) {
    const step = await plan.step(i)[name].to('cpu');
    target.set(step.data as Float32Array | Uint16Array, i * size);
  }
  return stacked;
}
