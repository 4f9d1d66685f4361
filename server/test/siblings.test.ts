import { Tensor, TransformerEmbeddings } from 'latte-embeddings';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { bytesOf, input, int64, numbers } from './support/inputs.js';
import { get, postBinary, type BinaryInput } from './support/rest.js';
import { serve } from './support/server.js';

const checkpoints = join(__dirname, '..', '..', 'test', 'golden-family', 'ckpt');

function random(name: string, ...shape: number[]): BinaryInput {
  return input(name, shape, numbers(shape.reduce((product, length) => product * length, 1)));
}

const timestep = input('timestep', [2], [999, 1]);
const guidance = input('guidance', [2], [3.5, 7]);

/**
 * A request to one layer: its attribute in the library, and the order of its arguments if there are
 * several.
 */
interface Case {
  checkpoint: string;
  model: string;
  layer: string;
  inputs: BinaryInput[];
  outputs: string[];
  /** How the library takes the inputs. Default: one object of conditions. */
  takes?: 'arguments';
}

const cases: Case[] = [
  {
    checkpoint: 'sd3_float32',
    model: 'pos_embed',
    layer: 'posEmbed',
    inputs: [random('latent', 2, 4, 8, 12)],
    outputs: ['tokens'],
    takes: 'arguments',
  },
  {
    checkpoint: 'sd3_float32',
    model: 'time_text_embed',
    layer: 'timeTextEmbed',
    inputs: [timestep, random('pooled_projection', 2, 14)],
    outputs: ['embedding'],
  },
  {
    checkpoint: 'flux_float32',
    model: 'context_embedder',
    layer: 'contextEmbedder',
    inputs: [random('hidden_states', 2, 3, 10)],
    outputs: ['output'],
    takes: 'arguments',
  },
  {
    checkpoint: 'hunyuan_video_bfloat16',
    model: 'time_text_embed',
    layer: 'timeTextEmbed',
    inputs: [timestep, random('pooled_projection', 2, 14), guidance],
    outputs: ['embedding'],
  },
  {
    checkpoint: 'wan_i2v_float16',
    model: 'patch_embedding',
    layer: 'patchEmbedding',
    inputs: [random('latent', 1, 6, 3, 4, 6)],
    outputs: ['tokens'],
    takes: 'arguments',
  },
  {
    checkpoint: 'wan_i2v_float16',
    model: 'condition_embedder',
    layer: 'conditionEmbedder',
    inputs: [
      timestep,
      random('encoder_hidden_states', 2, 3, 10),
      random('encoder_hidden_states_image', 2, 5, 14),
    ],
    outputs: ['temb', 'timestep_proj', 'encoder_hidden_states', 'encoder_hidden_states_image'],
  },
  {
    checkpoint: 'sana_bfloat16',
    model: 'caption_projection',
    layer: 'captionProjection',
    inputs: [random('caption', 2, 3, 10)],
    outputs: ['encoder_hidden_states'],
    takes: 'arguments',
  },
  {
    checkpoint: 'ltx_bfloat16',
    model: 'time_embed',
    layer: 'timeEmbed',
    inputs: [int64('timestep', [999, 1])],
    outputs: ['modulation', 'embedded_timestep'],
  },
  {
    checkpoint: 'qwen_bfloat16',
    model: 'time_text_embed',
    layer: 'timeTextEmbed',
    inputs: [input('timestep', [2], [0.5, 1])],
    outputs: ['embedding'],
  },
  {
    checkpoint: 'cogvideox_i2v_bfloat16',
    model: 'patch_embed',
    layer: 'patchEmbed',
    inputs: [random('text_embeds', 1, 4, 10), random('image_embeds', 1, 3, 4, 6, 8)],
    outputs: ['tokens'],
    takes: 'arguments',
  },
  {
    checkpoint: 'cogvideox_float32',
    model: 'time_embedding',
    layer: 'timeEmbedding',
    inputs: [random('sample', 2, 16)],
    outputs: ['embedding'],
    takes: 'arguments',
  },
];

const camel = (name: string): string =>
  name.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase());

function tensorOf({ datatype, shape, bytes }: BinaryInput): Tensor {
  const copy = new Uint8Array(bytes).buffer;
  if (datatype === 'INT64') return new Tensor('int64', new BigInt64Array(copy), shape);
  return new Tensor('float32', new Float32Array(copy), shape);
}

/** The results of the library's layer, by the names of the service. */
async function expected(
  folder: string,
  { layer, inputs, outputs, takes }: Case,
): Promise<{ name: string; shape: readonly number[]; bytes: Buffer }[]> {
  using transformer = await TransformerEmbeddings.fromPretrained(folder, { device: 'cpu' });
  const tensors = inputs.map((each) => [camel(each.name), tensorOf(each)] as const);
  const given = takes === 'arguments' ? tensors.map(([, t]) => t) : [Object.fromEntries(tensors)];
  const result = (await transformer.layers[layer]!.forward(...given)) as Tensor;
  return outputs.map((name) => {
    const tensor =
      outputs.length === 1 ? result : (result as never as Record<string, Tensor>)[camel(name)]!;
    const bytes = Buffer.from(bytesOf(tensor.data as Float32Array));
    return { name, shape: tensor.shape, bytes };
  });
}

describe('the layers of a sibling transformer', () => {
  test.each(cases)('$checkpoint $model has the bits of the layer', async (each) => {
    const folder = join(checkpoints, each.checkpoint);
    const { base } = await serve('--model', folder);
    const { status, error, outputs } = await postBinary(base, each.model, each.inputs);
    expect({ status, error }).toEqual({ status: 200, error: undefined });
    expect(outputs.map(({ name, shape, bytes }) => ({ name, shape, bytes }))).toEqual(
      await expected(folder, each),
    );
  });

  // Each start tests every layer with a request of its own.
  test('of all models start together', async () => {
    const known = readdirSync(checkpoints).filter((name) => name !== 'unknown_class');
    const models = known.flatMap((name) => ['--model', `${name}=${join(checkpoints, name)}`]);
    const { service } = await serve(...models);
    const names = service.repository.models.map(({ name }) => name);
    for (const checkpoint of known) {
      expect(names.filter((name) => name.startsWith(`${checkpoint}.`)).length).toBeGreaterThan(1);
    }
    expect(names).toContain('flux_bfloat16.x_embedder');
    expect(names).toContain('pixart_float16.conditioning');
  });

  test('are listed by the attributes of the model, and described', async () => {
    const { base } = await serve('--model', `wan=${join(checkpoints, 'wan_i2v_float16')}`);
    const { json } = await get(`${base}/v2/models/condition_embedder`);
    expect(json).toMatchObject({
      name: 'condition_embedder',
      inputs: [
        { name: 'timestep', datatype: 'FP32', shape: [-1] },
        { name: 'encoder_hidden_states', datatype: 'FP16', shape: [-1, -1, 10] },
        { name: 'encoder_hidden_states_image', datatype: 'FP16', shape: [-1, -1, 14] },
      ],
      outputs: [
        { name: 'temb', datatype: 'FP16', shape: [-1, 24] },
        { name: 'timestep_proj', shape: [-1, 144] },
        { name: 'encoder_hidden_states', shape: [-1, -1, 24] },
        { name: 'encoder_hidden_states_image', shape: [-1, -1, 24] },
      ],
    });
  });

  test('without an optional input, its output is left out', async () => {
    const { base } = await serve('--model', join(checkpoints, 'wan_i2v_float16'));
    const inputs = [timestep, random('encoder_hidden_states', 2, 3, 10)];
    const { outputs } = await postBinary(base, 'condition_embedder', inputs);
    expect(outputs.map(({ name }) => name)).toEqual([
      'temb',
      'timestep_proj',
      'encoder_hidden_states',
    ]);
  });

  test('a wrong request gets 400 and the reason', async () => {
    const { base } = await serve('--model', join(checkpoints, 'sd3_float32'));
    const pooled = random('pooled_projection', 3, 14);
    expect(await postBinary(base, 'time_text_embed', [timestep, pooled])).toMatchObject({
      status: 400,
      error: expect.stringContaining('pooledProjection') as string,
    });
    expect(await postBinary(base, 'time_text_embed', [timestep])).toMatchObject({
      status: 400,
      error: 'input "pooled_projection" is missing',
    });
    expect((await postBinary(base, 'conditioning', [timestep])).status).toBe(404);
  });

  test('a class that is not known ends the start with the list', async () => {
    await expect(serve('--model', join(checkpoints, 'unknown_class'))).rejects.toThrow(
      /AuraFlowTransformer2DModel.*WanTransformer3DModel/s,
    );
  });
});
