import { asVideo, load } from '../cases/conditioning.js';
import type { Data } from '../data.js';
import { Tensor } from '../product.js';
import { outputShape, timestepsOf, type ConditioningWork } from '../work.js';
import { timed } from './timed.js';
import type { Session } from './types.js';

/** Makes sessions that share one set of layers, like the prompts of one thread of a server. */
export async function productSessions(
  work: ConditioningWork,
  data: Data,
  count: number,
): Promise<Session[]> {
  const latte = await load(work, data);
  const given = data.inputs.caption!;
  const caption = new Tensor('float32', given.data, given.shape);
  const timesteps = timestepsOf(work);
  return Promise.all(
    Array.from({ length: count }, async (): Promise<Session> => {
      const video = await asVideo(data.inputs.latent!.data, work.patch).to({ device: 'cpu' });
      const out = Tensor.zeros(outputShape(work.patch), { device: 'cpu' });
      return {
        async prompt(steps) {
          const [prepare, plan] = await timed(() => latte.prepare({ timesteps, caption }));
          const times: number[] = [];
          for (let i = 0; i < steps; i++) {
            const [step] = await timed(async () => {
              plan.step(i);
              await latte.embedLatent(video, { out });
            });
            times.push(step);
          }
          plan.dispose();
          return { prepare, steps: times };
        },
        sample: () => Float32Array.from(out.toFloat32Array().subarray(0, 4096)),
      };
    }),
  );
}
