import { LatteError } from '../../errors.js';
import type { LatteEmbeddings } from '../../index.js';
import type { Tensor } from '../../tensor/tensor.js';
import { readInput } from '../inputs.js';
import type { Progress } from '../progress.js';
import { missing, refuseOthers, type EmbedOptions } from './conditions.js';
import { stackSteps } from './stack-steps.js';

/** Computes what `embed` writes for Latte and PixArt. */
export async function embedLatte(
  latte: LatteEmbeddings,
  timesteps: number[],
  options: EmbedOptions,
  progress: Progress,
): Promise<Map<string, Tensor>> {
  const { Tensor } = await import('../../index.js');
  const { captionChannels, videoLength } = latte.config;
  const { resolution, aspectRatio, batchSize, seed } = options;
  refuseOthers(options, latte.config.className ?? latte.config.model.name, [
    'caption',
    'resolution',
    'aspectRatio',
  ]);
  if (options.caption === undefined) throw missing('caption', latte.config.model.name);
  const sized = latte.config.useAdditionalConditions;
  if (sized && (resolution === undefined || aspectRatio === undefined)) {
    throw new LatteError(
      'ERR_VALUE',
      'this checkpoint has size conditions: --resolution and --aspect-ratio are needed',
    );
  }
  if (!sized && (resolution ?? aspectRatio) !== undefined) {
    process.stderr.write(
      'latte-embeddings: this checkpoint has no size conditions: --resolution and --aspect-ratio are ignored\n',
    );
  }
  progress.show(0.5, 'embedding captions and timesteps');
  const caption = await readInput(options.caption, 'caption', seed, (shape) => [
    ...shape,
    captionChannels ?? latte.config.innerDim,
  ]);
  const plan = await latte.prepare({
    timesteps,
    caption,
    batchSize,
    resolution: resolution && new Tensor('float32', [...resolution], [1, 2]),
    aspectRatio:
      aspectRatio === undefined ? undefined : new Tensor('float32', [aspectRatio], [1, 1]),
  });
  const outputs = new Map<string, Tensor>();
  outputs.set('encoder_hidden_states', await plan.encoderHiddenStates.to('cpu'));
  outputs.set('modulation', await stackSteps(plan, 'modulation'));
  outputs.set('embedded_timestep', await stackSteps(plan, 'embeddedTimestep'));

  let frames = videoLength ?? undefined;
  if (options.latent !== undefined) {
    progress.show(0.6, 'embedding the latent');
    const latent = await readInput(options.latent, 'latent', seed, (shape) => shape);
    if (latent.shape.length === 5) frames = latent.shape[2]!;
    outputs.set('hidden_states', await (await latte.embedLatent(latent)).to('cpu'));
  }
  if (videoLength !== null)
    outputs.set('temp_pos_embed', await latte.tempPosEmbed(frames).to('cpu'));
  return outputs;
}
