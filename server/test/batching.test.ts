import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { planJob, type Job } from '../lib/models/model.js';
import { chooseDevices, Repository } from '../lib/models/repository.js';
import type { WireTensor } from '../lib/protocol/tensor.js';
import { caption, input, int64, numbers, timesteps } from './support/inputs.js';
import { postBinary, type BinaryInput } from './support/rest.js';
import { Gate, latte, modelFolder, serve, until } from './support/server.js';

/** Numbers of rows of the requests. Kernels compute the last rows of a product by other code. */
const rowCounts = [1, 2, 3, 5, 8, 13, 17, 33, 64];

/** A digest of bytes, because printing the difference of two long arrays would take minutes. */
function digest(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

async function bitsAloneAndBatched(
  folder: string,
  model: string,
  requests: readonly (readonly BinaryInput[])[],
): Promise<void> {
  const [device] = chooseDevices('auto');
  const repository = new Repository([device!]);
  await repository.load([{ name: 'm', folder }], {});
  const served = repository.find(`m.${model}`)!;
  const weights = served.replicas.get(device!)!;
  const jobs = requests.map((inputs) =>
    planJob(served.model, inputs as readonly WireTensor[], undefined),
  );
  const run = async (batch: Job[]): Promise<string[][]> => {
    const times = { input: 0, infer: 0, output: 0 };
    const answers = await served.model.run(weights, batch, new AbortController().signal, times);
    return answers.map((outputs) => outputs.map(({ bytes }) => digest(bytes)));
  };
  const alone: string[][] = [];
  for (const job of jobs) alone.push(...(await run([job])));
  expect(new Set(jobs.map(({ batchKey }) => batchKey)).size).toBe(1);
  expect(await run(jobs)).toEqual(alone);
  expect(await run([...jobs].reverse())).toEqual([...alone].reverse());
  repository.dispose();
}

for (const name of ['latte-odd', 'latte-float16']) {
  test(`${name}: an answer has the same bits batched or alone`, async () => {
    const folder = modelFolder(name);
    await bitsAloneAndBatched(
      folder,
      'conditioning',
      rowCounts.map((rows, i) => [caption((i % 3) + 1, rows, i), timesteps(...numbers(rows, i))]),
    );
    await bitsAloneAndBatched(
      folder,
      'caption_projection',
      rowCounts.map((rows, i) => [caption(1, rows, i)]),
    );
    await bitsAloneAndBatched(
      folder,
      'ada_layer_norm_single',
      rowCounts.map((rows, i) => [input('timestep', [rows], numbers(rows, i))]),
    );
  });
}

test('with sizes', async () => {
  await bitsAloneAndBatched(
    modelFolder('pixart-sizes'),
    'conditioning',
    rowCounts.map((rows, i) => [
      caption(2, rows, i),
      timesteps(...numbers(rows, i)),
      int64('resolution', [512 + i, 768], [1, 2]),
      input('aspect_ratio', [2, 1], [1 + i, 0.5]),
    ]),
  );
});

/** The folder of a small checkpoint of a sibling transformer. */
const sibling = (name: string): string =>
  join(__dirname, '..', '..', 'test', 'golden-family', 'ckpt', name);

/** A request to a layer of a sibling transformer, with this many rows. */
const siblingRequests: Record<string, (rows: number, seed: number) => BinaryInput[]> = {
  'sd3_float32 time_text_embed': (rows, seed) => [
    input('timestep', [rows], numbers(rows, seed)),
    input('pooled_projection', [rows, 14], numbers(rows * 14, seed)),
  ],
  'flux_bfloat16 time_text_embed': (rows, seed) => [
    input('timestep', [rows], numbers(rows, seed)),
    input('pooled_projection', [rows, 14], numbers(rows * 14, seed)),
    input('guidance', [rows], numbers(rows, seed + 1)),
  ],
  'flux_float32 context_embedder': (rows, seed) => [
    input('hidden_states', [2, rows, 10], numbers(rows * 20, seed)),
  ],
  'sana_bfloat16 time_embed': (rows, seed) => [
    input('timestep', [rows], numbers(rows, seed)),
    input('guidance', [rows], numbers(rows, seed + 1)),
  ],
  'ltx_bfloat16 caption_projection': (rows, seed) => [
    input('caption', [1, rows, 10], numbers(rows * 10, seed)),
  ],
  'qwen_bfloat16 time_text_embed': (rows, seed) => [input('timestep', [rows], numbers(rows, seed))],
  'cogvideox_float32 time_embedding': (rows, seed) => [
    input('sample', [rows, 16], numbers(rows * 16, seed)),
  ],
  // Timesteps, text and image have their own rows.
  'wan_i2v_float16 condition_embedder': (rows, seed) => [
    input('timestep', [(rows % 3) + 1], numbers((rows % 3) + 1, seed)),
    input('encoder_hidden_states', [2, rows, 10], numbers(rows * 20, seed)),
    input('encoder_hidden_states_image', [1, rows + 1, 14], numbers((rows + 1) * 14, seed)),
  ],
};

test.each(Object.entries(siblingRequests))(
  '%s: an answer has the same bits batched or alone',
  async (name, request) => {
    const [checkpoint, model] = name.split(' ') as [string, string];
    await bitsAloneAndBatched(
      sibling(checkpoint),
      model,
      rowCounts.map((rows, i) => request(rows, i)),
    );
  },
);

test('requests to a layer of a sibling transformer share a run', async () => {
  const folder = sibling('flux_float32');
  const server = await serve('--model', folder, '--runs-per-device', '1');
  const gate = new Gate(server, 'time_text_embed');
  const send = (rows: number, pooled = rows): ReturnType<typeof postBinary> =>
    postBinary(server.base, 'time_text_embed', [
      input('timestep', [rows], numbers(rows, rows)),
      input('pooled_projection', [pooled, 14], numbers(pooled * 14, rows)),
    ]);
  const first = send(1);
  await gate.arrivals(1);
  // The last two would fit together by their sums of rows. They must not be computed together.
  const others = [send(2), send(3), send(4, 5), send(5, 4)];
  await until(() => server.service.scheduler.queued === 4);
  gate.open();
  await first;
  const answers = await Promise.all(others);
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 400, 400]);
  const { batches } = server.service.statisticsOf(
    server.service.repository.find('time_text_embed')!,
  );
  expect(batches.map(({ batchSize, infer }) => [batchSize, infer.count])).toEqual([
    [1, 1],
    [2, 1],
  ]);
});

test('requests that are open at the same time share a run', async () => {
  const server = await serve('--model', latte, '--runs-per-device', '1');
  const gate = new Gate(server);
  const send = async (seed: number): Promise<string[]> => {
    const answer = await postBinary(server.base, 'conditioning', [
      caption(1, 3, seed),
      timesteps(seed),
    ]);
    expect(answer.status).toBe(200);
    return answer.outputs.map(({ bytes }) => digest(bytes!));
  };
  const first = send(0);
  await gate.arrivals(1);
  const others = [1, 2, 3].map(send);
  await until(() => server.service.scheduler.queued === 3);
  gate.open();
  await first;
  const together = await Promise.all(others);
  const statistics = server.service.statisticsOf(server.service.repository.find('conditioning')!);
  expect(statistics.batches.map(({ batchSize, infer }) => [batchSize, infer.count])).toEqual([
    [1, 1],
    [3, 1],
  ]);
  // Each request alone gets the same answer.
  for (const seed of [1, 2, 3]) expect(await send(seed)).toEqual(together[seed - 1]);
});
