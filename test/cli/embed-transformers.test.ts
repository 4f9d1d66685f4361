import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  openCheckpoint,
  PatchEmbed,
  TransformerEmbeddings,
  writeSafetensors,
  type Tensor,
  type TransformerPrepareOptions,
} from '../../lib/index.js';
import { computes, defaultDevice as device } from '../support/devices.js';
import { familyFolder } from '../support/golden-family.js';
import { random } from '../support/layers.js';
import { run, temporaryFolders } from './run.js';

const folder = temporaryFolders();
const folderOf = (name: string): string => join(familyFolder, 'ckpt', name);

/** The inputs of a run, by the names of the tensors in its file. */
type Inputs = Partial<Record<'latent' | 'caption' | 'pooled_projection' | 'image', Tensor>>;

interface EmbedCase {
  checkpoint: string;
  inputs: Inputs;
  /** The options with numbers, and what `prepare` takes for them. */
  numbers?: { args: string[]; conditions: Partial<TransformerPrepareOptions> };
  /** The attribute of the layer that takes the latent. */
  patches: string;
}

const caption = random([2, 3, 10]);
const pooled = random([2, 14]);

const cases: EmbedCase[] = [
  {
    checkpoint: 'sd3_float32',
    inputs: { latent: random([2, 4, 8, 12]), caption, pooled_projection: pooled },
    patches: 'posEmbed',
  },
  {
    checkpoint: 'flux_bfloat16',
    inputs: { latent: random([2, 5, 8]), caption, pooled_projection: pooled },
    numbers: { args: ['--guidance', '3500,1000'], conditions: { guidance: [3500, 1000] } },
    patches: 'xEmbedder',
  },
  {
    checkpoint: 'wan_i2v_float16',
    inputs: {
      latent: random([1, 6, 3, 4, 6]),
      caption,
      image: random([2, 4, 14]),
    },
    patches: 'patchEmbedding',
  },
  {
    checkpoint: 'hunyuan_video_bfloat16',
    inputs: { latent: random([1, 4, 3, 4, 6]), pooled_projection: pooled },
    numbers: { args: ['--guidance', '6000'], conditions: { guidance: [6000] } },
    patches: 'xEmbedder',
  },
  {
    checkpoint: 'sana_bfloat16',
    inputs: { latent: random([2, 4, 4, 4]), caption },
    numbers: { args: ['--guidance', '1,0.5'], conditions: { guidance: [1, 0.5] } },
    patches: 'patchEmbed',
  },
  {
    checkpoint: 'ltx_bfloat16',
    inputs: { latent: random([2, 5, 6]), caption },
    patches: 'projIn',
  },
  {
    checkpoint: 'allegro_float32',
    inputs: { latent: random([1, 4, 2, 4, 6]), caption },
    patches: 'posEmbed',
  },
  {
    checkpoint: 'cogvideox_float32',
    inputs: { latent: random([1, 3, 4, 6, 8]), caption: random([1, 4, 10]) },
    numbers: { args: ['--batch-size', '2'], conditions: { batchSize: 2 } },
    patches: 'patchEmbed',
  },
  {
    checkpoint: 'qwen_bfloat16',
    inputs: { latent: random([2, 5, 8]) },
    patches: 'imgIn',
  },
];

const bytesOf = async (tensor: Tensor): Promise<Buffer> => {
  const host = await tensor.to('cpu');
  const { buffer, byteOffset, byteLength } = host.data as Uint8Array;
  return Buffer.from(buffer, byteOffset, byteLength);
};

/** The bytes of what the library computes, by the names in the file. */
async function expected(
  { checkpoint, inputs, numbers, patches }: EmbedCase,
  timesteps: number[],
): Promise<Record<string, Buffer>> {
  using model = await TransformerEmbeddings.fromPretrained(folderOf(checkpoint), { device });
  const { latent, pooled_projection: pooledProjection } = inputs;
  const encoderHiddenStatesImage = inputs.image;
  const isJoint = checkpoint.startsWith('cogvideox');
  using plan = await model.prepare({
    ...{ timesteps, pooledProjection, encoderHiddenStatesImage, ...numbers?.conditions },
    encoderHiddenStates: isJoint ? undefined : inputs.caption,
  });
  const all: Record<string, Buffer> = {};
  if (plan.encoderHiddenStates) all.encoder_hidden_states = await bytesOf(plan.encoderHiddenStates);
  if (plan.encoderHiddenStatesImage) {
    all.encoder_hidden_states_image = await bytesOf(plan.encoderHiddenStatesImage);
  }
  for (const name of Object.keys(plan.step(0))) {
    const steps = timesteps.map((_, i) => bytesOf(plan.step(i)[name]!));
    const snake = name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
    all[snake] = Buffer.concat(await Promise.all(steps));
  }
  const layer = model.layers[patches]!;
  const given = isJoint ? [inputs.caption, latent] : [latent];
  const tokens =
    layer instanceof PatchEmbed ? layer.forwardVideo(latent!) : layer.forward(...given);
  all.hidden_states = await bytesOf((await tokens) as Tensor);
  return all;
}

describe.skipIf(!computes(device, 'float32'))(`embed for other models on ${device}`, () => {
  it.each(cases.map((each) => [each.checkpoint, each] as const))(
    '%s: the file has the bits of the library',
    async (checkpoint, each) => {
      const place = folder();
      const [input, output] = [join(place, 'in.safetensors'), join(place, 'out.safetensors')];
      await writeSafetensors(input, each.inputs);
      const files = Object.keys(each.inputs).flatMap((name) => [
        `--${name.replaceAll('_', '-')}`,
        input,
      ]);
      const args = [...files, ...(each.numbers?.args ?? []), '--steps', '2', '-o', output];
      const { status, stderr } = await run([
        'embed',
        '--checkpoint',
        folderOf(checkpoint),
        ...args,
      ]);
      expect([status, stderr]).toEqual([0, '']);
      const timesteps = checkpoint.startsWith('qwen') ? [0.999, 0.499] : [999, 499];
      const want = await expected(each, timesteps);
      const written = await openCheckpoint(output);
      expect([...written.names()].sort()).toEqual(Object.keys(want).sort());
      for (const name of written.names()) {
        const tensor = await written.tensor(name);
        expect((await bytesOf(tensor)).equals(want[name]!), name).toBe(true);
      }
      await written.close();
    },
  );

  it('takes random inputs, whose channels follow from the checkpoint', async () => {
    const output = join(folder(), 'out.safetensors');
    const { status, stdout } = await run([
      ...['embed', '--checkpoint', folderOf('flux_float32'), '--steps', '3', '--json'],
      ...['--latent', 'random:2,5', '--caption', 'random:2,3', '--pooled-projection', 'random:2'],
      ...['-o', output],
    ]);
    expect(status).toBe(0);
    const { tensors } = JSON.parse(stdout) as { tensors: { name: string; shape: number[] }[] };
    expect(tensors.map(({ name, shape }) => [name, shape])).toEqual([
      ['encoder_hidden_states', [2, 3, 24]],
      ['temb', [3, 2, 24]],
      ['hidden_states', [2, 5, 24]],
    ]);
  });

  it.each<[string, string, string[], string]>([
    [
      'a condition that is missing',
      'flux_bfloat16',
      ['--pooled-projection', 'random:2'],
      '--guidance is missing: FluxTransformer2DModel needs it [ERR_VALUE]',
    ],
    [
      'a condition that the model does not take',
      'sd3_float32',
      ['--pooled-projection', 'random:2', '--resolution', '8,8'],
      '--resolution is nothing that SD3Transformer2DModel takes; it takes --pooled-projection, --caption [ERR_VALUE]',
    ],
    [
      'an image beside a model without an image encoder',
      'wan_t2v_float32',
      ['--caption', 'random:1,3', '--image', 'random:1,4'],
      '--image is nothing that WanTransformer3DModel takes; it takes --caption [ERR_VALUE]',
    ],
    [
      'a latent of other axes',
      'ltx_bfloat16',
      ['--latent', 'random:1,4,2,8,8'],
      '--latent must have shape [B,N,K], but has [1, 4, 2, 8, 8] [ERR_SHAPE]',
    ],
    [
      'a latent of CogVideoX without its text',
      'cogvideox_float32',
      ['--latent', 'random:1,3,4,6,8'],
      '--caption and --latent belong together: CogVideoXTransformer3DModel embeds both in one layer [ERR_VALUE]',
    ],
    [
      'a class that is not known',
      'unknown_class',
      ['--caption', 'random:1,3'],
      'the known classes are LatteTransformer3DModel, LatteT2V',
    ],
  ])('fails for %s with one line', async (_, checkpoint, args, message) => {
    const output = join(folder(), 'out.safetensors');
    const { status, stdout, stderr } = await run([
      ...['embed', '--checkpoint', folderOf(checkpoint), ...args, '-o', output],
    ]);
    expect(stderr).toMatch(/^latte-embeddings: .+\n$/);
    expect(stderr).toContain(message);
    expect([status, stdout]).toEqual([1, '']);
  });
});
