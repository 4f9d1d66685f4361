import { LatteEmbeddings, Tensor, type TensorLike } from 'latte-embeddings';
import { describe, expect, test } from 'vitest';
import { request } from 'undici';
import {
  bytesOf,
  caption,
  captionWidth,
  input,
  int64,
  numbers,
  timesteps,
} from './support/inputs.js';
import { get, postBinary, postJson, type BinaryInput, type RestAnswer } from './support/rest.js';
import { latte, modelFolder, serve } from './support/server.js';

/** The library's results for the same request, as bytes by the outputs' names. */
async function prepared(
  folder: string,
  captionInput: BinaryInput,
  steps: number[],
  sizes: { resolution?: TensorLike; aspectRatio?: TensorLike } = {},
): Promise<Map<string, Buffer>> {
  using model = await LatteEmbeddings.fromPretrained(folder, { device: 'cpu' });
  using plan = await model.prepare({
    caption: tensorOf(captionInput),
    timesteps: steps,
    ...sizes,
  });
  const bytes = (tensor: Tensor): Buffer => Buffer.from(bytesOf(tensor.data as Float32Array));
  const each = steps.map((_, i) => plan.step(i));
  const outputs = new Map([
    ['encoder_hidden_states', bytes(plan.encoderHiddenStates)],
    ['modulation', Buffer.concat(each.map((step) => bytes(step.modulation)))],
    ['embedded_timestep', Buffer.concat(each.map((step) => bytes(step.embeddedTimestep)))],
  ]);
  if (model.config.videoLength !== null) outputs.set('temp_pos_embed', bytes(model.tempPosEmbed()));
  return outputs;
}

function tensorOf({ datatype, shape, bytes }: BinaryInput): Tensor {
  const copy = new Uint8Array(bytes).buffer;
  if (datatype === 'FP32') return new Tensor('float32', new Float32Array(copy), shape);
  return new Tensor(datatype === 'FP16' ? 'float16' : 'bfloat16', new Uint16Array(copy), shape);
}

function outputsOf({ status, error, outputs }: RestAnswer): Map<string, Buffer> {
  expect({ status, error }).toEqual({ status: 200, error: undefined });
  return new Map(outputs.map(({ name, bytes }) => [name, bytes!]));
}

/** An answer of /stats: the nanoseconds of each part, by name. */
interface StatisticsAnswer {
  model_stats: { inference_stats: Record<string, { ns: number }> }[];
}

describe('health and metadata', () => {
  test('the server is live and ready, and describes itself', async () => {
    const { base } = await serve();
    expect(await get(`${base}/v2/health/live`)).toEqual({ status: 200, json: { live: true } });
    expect(await get(`${base}/v2/health/ready`)).toEqual({ status: 200, json: { ready: true } });
    const { json } = await get(`${base}/v2`);
    expect(json).toMatchObject({ name: 'latte-embeddings-server' });
    expect((json as { extensions: string[] }).extensions).toContain('binary_tensor_data');
  });

  test('models are described, with and without a version', async () => {
    const { base } = await serve();
    const { json } = await get(`${base}/v2/models/conditioning`);
    expect(json).toMatchObject({ name: 'conditioning', versions: ['1'] });
    const { inputs, outputs } = json as Record<string, { name: string; shape: number[] }[]>;
    expect(inputs![0]).toMatchObject({ name: 'caption', shape: [-1, -1, captionWidth] });
    expect(inputs!.map(({ name }) => name)).toEqual(['caption', 'timesteps', 'frames']);
    expect(outputs!.map(({ name }) => name)).toEqual([
      'encoder_hidden_states',
      'modulation',
      'embedded_timestep',
      'temp_pos_embed',
    ]);
    expect((await get(`${base}/v2/models/conditioning/versions/1`)).json).toEqual(json);
    expect(await get(`${base}/v2/models/conditioning/ready`)).toMatchObject({
      status: 200,
      json: { ready: true },
    });
    expect((await get(`${base}/v2/models/conditioning/versions/2`)).status).toBe(404);
    expect((await get(`${base}/v2/models/other`)).status).toBe(404);
    expect((await get(`${base}/v2/models/other/ready`)).status).toBe(404);
  });

  test('the index lists all models; several checkpoints have prefixes', async () => {
    const pixart = modelFolder('pixart-sizes');
    const { base } = await serve('--model', latte, '--model', `pixart=${pixart}`);
    const answer = await request(`${base}/v2/repository/index`, { method: 'POST' });
    const index = (await answer.body.json()) as { name: string; state: string }[];
    expect(index.map(({ name }) => name)).toContain('pixart.conditioning');
    expect(index.map(({ name }) => name)).toContain('latte-odd.patch_embed');
    expect(index.every(({ state }) => state === 'READY')).toBe(true);
    expect((await get(`${base}/v2/models/pixart`)).status).toBe(200);
    expect((await get(`${base}/v2/models/conditioning`)).status).toBe(404);
  });

  test('statistics count requests and runs', async () => {
    const { base } = await serve();
    await postBinary(base, 'conditioning', [caption(1, 2), timesteps(1)]);
    await postBinary(base, 'conditioning', [caption(1, 2)]);
    const { json } = await get(`${base}/v2/models/conditioning/stats`);
    const [stats] = (json as StatisticsAnswer).model_stats;
    const { success, queue, compute_input, compute_infer, compute_output } = stats!.inference_stats;
    const parts = [compute_input, compute_infer, compute_output, queue].map((part) => part!.ns);
    expect(Math.min(...parts)).toBeGreaterThan(0);
    // Captions and timesteps are computed at the same time; none of it counts twice.
    expect(parts.reduce((sum, ns) => sum + ns)).toBeLessThanOrEqual(success!.ns);
    expect(json).toMatchObject({
      model_stats: [
        {
          inference_count: 1,
          execution_count: 1,
          inference_stats: { success: { count: 1 }, fail: { count: 1 }, queue: { count: 1 } },
          batch_stats: [{ batch_size: 1 }],
        },
      ],
    });
  });
});

describe('conditioning', () => {
  for (const name of ['latte-odd', 'latte-float16', 'pixart-without-projection']) {
    test(`${name}: has the bits of prepare`, async () => {
      const folder = modelFolder(name);
      const { base } = await serve('--model', folder);
      const given = caption(2, 3);
      const steps = [999, 500.5, 1];
      const answer = await postBinary(base, 'conditioning', [given, timesteps(...steps)]);
      expect(outputsOf(answer)).toEqual(await prepared(folder, given, steps));
      expect(answer.outputs[1]!.shape.slice(0, 2)).toEqual([3, 2]);
    });
  }

  test('with sizes, which are tiled over the batch', async () => {
    const folder = modelFolder('pixart-sizes');
    const { base } = await serve('--model', folder);
    const given = caption(4, 3);
    const resolution = [512, 768, 1024, 256];
    const answer = await postBinary(base, 'conditioning', [
      given,
      timesteps(7, 8),
      int64('resolution', resolution, [2, 2]),
      input('aspect_ratio', [1, 1], [1.5]),
    ]);
    const expected = await prepared(folder, given, [7, 8], {
      resolution: new Tensor('float32', resolution, [2, 2]),
      aspectRatio: new Tensor('float32', [1.5], [1, 1]),
    });
    expect(outputsOf(answer)).toEqual(expected);
  });

  test.each(['float16', 'bfloat16'] as const)(
    'a caption in %s, timesteps in INT64',
    async (dtype) => {
      const { base } = await serve();
      const given = caption(1, 4, 3, dtype);
      const answer = await postBinary(base, 'conditioning', [given, int64('timesteps', [5, 3])]);
      expect(outputsOf(answer)).toEqual(await prepared(latte, given, [5, 3]));
    },
  );

  test('JSON in and out, the data flat or nested', async () => {
    const { base } = await serve();
    const given = caption(1, 2);
    const values = Array.from(numbers(2 * captionWidth));
    const nested = [[values.slice(0, captionWidth), values.slice(captionWidth)]];
    const expected = await prepared(latte, given, [999]);
    for (const data of [values, nested]) {
      const answer = await postJson(base, 'conditioning', {
        id: 'request-1',
        inputs: [
          { name: 'caption', datatype: 'FP32', shape: given.shape, data },
          { name: 'timesteps', datatype: 'INT64', shape: [1], data: [999] },
        ],
        outputs: [{ name: 'encoder_hidden_states' }],
      });
      expect(answer.json).toMatchObject({
        model_name: 'conditioning',
        model_version: '1',
        id: 'request-1',
      });
      expect(answer.outputs).toHaveLength(1);
      const data32 = Float32Array.from(answer.outputs[0]!.data!);
      expect(bytesOf(data32)).toEqual(expected.get('encoder_hidden_states'));
    }
  });

  test('binary for one output, JSON for another', async () => {
    const { base } = await serve();
    const answer = await postBinary(base, 'conditioning', [caption(1, 2), timesteps(4)], {
      outputs: [
        { name: 'modulation', parameters: { binary_data: true } },
        { name: 'embedded_timestep' },
      ],
    });
    const outputs = new Map(answer.outputs.map((output) => [output.name, output]));
    expect(outputs.get('modulation')!.bytes).toBeDefined();
    expect(outputs.get('embedded_timestep')!.data).toBeDefined();
    expect(outputs.size).toBe(2);
  });

  test('frames beyond the table get zeros, fewer its first rows', async () => {
    const { base } = await serve();
    const whole = (await prepared(latte, caption(1, 1), [1])).get('temp_pos_embed')!;
    for (const frames of [0, 3, 9]) {
      const answer = await postBinary(
        base,
        'conditioning',
        [caption(1, 1), timesteps(1), int64('frames', [frames])],
        { outputs: [{ name: 'temp_pos_embed', parameters: { binary_data: true } }] },
      );
      const { shape, bytes } = answer.outputs[0]!;
      expect(shape.slice(0, 2)).toEqual([1, frames]);
      const rows = Math.min(whole.length, bytes!.length);
      expect(bytes!.subarray(0, rows)).toEqual(whole.subarray(0, rows));
      expect(bytes!.subarray(rows).every((byte) => byte === 0)).toBe(true);
    }
  });

  test('a value that JSON cannot hold is refused as JSON, and sent as bytes', async () => {
    const { base } = await serve();
    const inputs = [caption(1, 1), timesteps(NaN)];
    const refused = await postBinary(base, 'conditioning', inputs, {});
    expect(refused.status).toBe(400);
    expect(refused.error).toContain('NaN');
    expect((await postBinary(base, 'conditioning', inputs)).status).toBe(200);
  });
});

describe('layers', () => {
  test('each has the bits of the library', async () => {
    const { base } = await serve();
    using model = await LatteEmbeddings.fromPretrained(latte, { device: 'cpu' });
    const bits = (tensor: Tensor): Buffer => Buffer.from(bytesOf(tensor.data as Float32Array));

    const given = caption(2, 3);
    using projected = await model.captionProjection!.forward(tensorOf(given));
    const captions = await postBinary(base, 'caption_projection', [given]);
    expect(outputsOf(captions)).toEqual(new Map([['encoder_hidden_states', bits(projected)]]));

    const { modulation, embeddedTimestep } = await model.adaLayerNormSingle.forward({
      timestep: [3, 4],
    });
    const steps = await postBinary(base, 'ada_layer_norm_single', [input('timestep', [2], [3, 4])]);
    expect(outputsOf(steps)).toEqual(
      new Map([
        ['modulation', bits(modulation)],
        ['embedded_timestep', bits(embeddedTimestep)],
      ]),
    );

    const channels = model.config.inChannels;
    const latent = input('latent', [2, channels, 8, 6], numbers(2 * channels * 48));
    using tokens = await model.patchEmbed.forward(tensorOf(latent));
    const patches = await postBinary(base, 'patch_embed', [latent]);
    expect(outputsOf(patches)).toEqual(new Map([['tokens', bits(tokens)]]));
    expect(patches.outputs[0]!.shape).toEqual(tokens.shape);
  });
});
