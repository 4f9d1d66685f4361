import { LatteError, showShape } from '../../errors.js';
import type { AnyLayer, TransformerEmbeddings, TransformerPrepareOptions } from '../../index.js';
import type { Tensor } from '../../tensor/tensor.js';
import { conditionsOf } from '../../transformer/conditions.js';
import { readInput } from '../inputs.js';
import type { Source } from '../options.js';
import type { Progress } from '../progress.js';
import { missing, optionOf, refuseOthers, type EmbedOptions } from './conditions.js';
import { stackSteps } from './stack-steps.js';

/** The weight [D, K] or [K] of a layer that has the number of channels of an input. */
const weights: Readonly<Record<string, readonly string[]>> = {
  text: ['weight', 'linear_1.weight', 'text_embedder.linear_1.weight', 'text_proj.weight'],
  pooled: ['text_embedder.linear_1.weight'],
  image: ['image_embedder.norm1.weight'],
};

/** The channels that a layer takes: the last axis of the first of these weights that it has. */
function channels(layer: AnyLayer, input: 'text' | 'pooled' | 'image'): number {
  const shapes = new Map(layer.parameters().map(({ name, shape }) => [name, shape]));
  const name = weights[input]!.find((each) => shapes.has(each))!;
  return shapes.get(name)!.at(-1)!;
}

/** Computes what `embed` writes for a model that TransformerEmbeddings reads. */
export async function embedTransformer(
  model: TransformerEmbeddings,
  timesteps: number[],
  options: EmbedOptions,
  progress: Progress,
): Promise<Map<string, Tensor>> {
  const { CogVideoXPatchEmbed } = await import('../../index.js');
  const { className, conditioning, layers } = model;
  const { needed, optional } = conditionsOf(conditioning);
  const patches = layers[conditioning.latent]!;
  // CogVideoX's layer of patches also takes the text, which `prepare` then does not.
  const isJoint = patches instanceof CogVideoXPatchEmbed;
  const taken = [...needed, ...optional].map(optionOf);
  refuseOthers(options, className, isJoint ? ['caption', ...taken] : taken);
  for (const name of needed.map(optionOf)) {
    if (options[name] === undefined) throw missing(name, className);
  }
  if (isJoint && (options.caption === undefined) !== (options.latent === undefined)) {
    throw new LatteError(
      'ERR_VALUE',
      `--caption and --latent belong together: ${className} embeds both in one layer`,
    );
  }
  progress.show(0.5, 'embedding conditions and timesteps');
  const textLayer = isJoint ? patches : layers[conditioning.text ?? ''];
  const caption = await read(options, 'caption', textLayer, 'text');
  const plan = await model.prepare({
    timesteps,
    ...(await readConditions(model, options)),
    ...(isJoint ? {} : { encoderHiddenStates: caption }),
  });
  const outputs = new Map<string, Tensor>();
  for (const [name, tensor] of [
    ['encoder_hidden_states', plan.encoderHiddenStates],
    ['encoder_hidden_states_image', plan.encoderHiddenStatesImage],
  ] as const) {
    if (tensor !== null) outputs.set(name, await tensor.to('cpu'));
  }
  for (const name of Object.keys(plan.step(0))) {
    outputs.set(snakeCase(name), await stackSteps(plan, name));
  }
  if (options.latent !== undefined) {
    progress.show(0.6, 'embedding the latent');
    const tokens = await embedLatent(patches, options.latent, options.seed, caption);
    outputs.set('hidden_states', await tokens.to('cpu'));
  }
  return outputs;
}

function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** The conditions for `prepare`, without timesteps and text. */
async function readConditions(
  { layers, conditioning }: TransformerEmbeddings,
  options: EmbedOptions,
): Promise<Partial<TransformerPrepareOptions>> {
  const { guidance, additionTCond, ofs, batchSize } = options;
  const time = layers[conditioning.time ?? ''];
  return {
    ...{ guidance, additionTCond, ofs, batchSize },
    pooledProjection: await read(options, 'pooledProjection', time, 'pooled'),
    encoderHiddenStatesImage: await read(options, 'image', time, 'image'),
  };
}

/** Reads the tensor of an option; undefined if the option was not given. */
async function read(
  options: EmbedOptions,
  name: 'caption' | 'pooledProjection' | 'image',
  layer: AnyLayer | undefined,
  input: 'text' | 'pooled' | 'image',
): Promise<Tensor | undefined> {
  const source = options[name];
  if (source === undefined || layer === undefined) return undefined;
  return readInput(source, snakeCase(name), options.seed, (shape) => [
    ...shape,
    channels(layer, input),
  ]);
}

/** The tokens of a latent, which must have the axes that the model's layer takes. */
async function embedLatent(
  layer: AnyLayer,
  source: Source,
  seed: number,
  caption: Tensor | undefined,
): Promise<Tensor> {
  const { CogVideoXPatchEmbed, Linear, PatchEmbed } = await import('../../index.js');
  const isPacked = layer instanceof Linear;
  const latent = await readInput(source, 'latent', seed, (shape) =>
    isPacked && shape.length === 2 ? [...shape, channels(layer, 'text')] : shape,
  );
  const axes = isPacked
    ? ['B,N,K']
    : layer instanceof PatchEmbed
      ? ['B,C,H,W', 'B,C,F,H,W']
      : layer instanceof CogVideoXPatchEmbed
        ? ['B,F,C,H,W']
        : ['B,C,F,H,W'];
  if (!axes.some((letters) => letters.split(',').length === latent.shape.length)) {
    throw new LatteError(
      'ERR_SHAPE',
      `--latent must have shape ${axes.map((letters) => `[${letters}]`).join(' or ')}, but has ${showShape(latent.shape)}`,
    );
  }
  if (layer instanceof PatchEmbed) return layer.forwardVideo(latent);
  return (await layer.forward(
    ...(caption !== undefined && layer instanceof CogVideoXPatchEmbed
      ? [caption, latent]
      : [latent]),
  )) as Tensor;
}
