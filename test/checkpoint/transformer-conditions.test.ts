import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  type LatteErrorCode as ErrorCode,
  openCheckpoint,
  Tensor,
  TransformerEmbeddings,
  type TransformerPlan,
  writeSafetensors,
  type TransformerPrepareOptions,
} from '../../lib/index.js';
import { defaultDevice as device, computes } from '../support/devices.js';
import { rejected } from '../support/errors.js';
import { random } from '../support/layers.js';
import { temporaryFolder } from './builders.js';
import { folderOf, guidance, load, pooledProjection, text } from './family-models.js';

const folderOfPairs = temporaryFolder();

describe.skipIf(!computes(device, 'float32'))(`conditions of plans on ${device}`, () => {
  const given = { timesteps: [1], encoderHiddenStates: text };
  const sd3 = { ...given, pooledProjection };
  const size = { ...given, aspectRatio: [1] };
  const rows = 'must have 1 row or 2, as many as the batch, but has shape [3, 3, 10]';
  const ints = new Tensor('int32', new Int32Array(60), [2, 3, 10]);
  it.each<[string, object, ErrorCode, string]>([
    [
      'sd3_float32',
      { ...sd3, encoderHiddenStates: random([3, 3, 10]) },
      'ERR_SHAPE',
      `encoderHiddenStates ${rows}`,
    ],
    [
      'flux_bfloat16',
      { ...sd3, guidance, encoderHiddenStates: random([3, 3, 10]) },
      'ERR_SHAPE',
      `encoderHiddenStates ${rows}`,
    ],
    [
      'sana_float32',
      { ...given, batchSize: 2, encoderHiddenStates: random([3, 3, 10]) },
      'ERR_SHAPE',
      `encoderHiddenStates ${rows}`,
    ],
    [
      'wan_i2v_float16',
      { ...given, encoderHiddenStatesImage: random([3, 4, 14]) },
      'ERR_SHAPE',
      'encoderHiddenStatesImage must have a number of rows that divides the batch of 2, but has 3',
    ],
    ...['sd3_float32', 'sana_float32', 'wan_t2v_float32'].flatMap(
      (name): [string, object, ErrorCode, string][] => {
        const others = name.startsWith('sd3') ? sd3 : given;
        return [
          [
            name,
            { ...others, encoderHiddenStates: random([2, 10]) },
            'ERR_SHAPE',
            'encoderHiddenStates must have shape [B, L, 10], but has [2, 10]',
          ],
          [
            name,
            { ...others, encoderHiddenStates: random([2, 3, 9]) },
            'ERR_SHAPE',
            'encoderHiddenStates must have shape [B, L, 10], but has [2, 3, 9]',
          ],
          [
            name,
            { ...others, encoderHiddenStates: ints },
            'ERR_DTYPE',
            'encoderHiddenStates must have a floating dtype, but is int32',
          ],
        ];
      },
    ),
    [
      'sd3_float32',
      { ...sd3, pooledProjection: random([2, 3]) },
      'ERR_SHAPE',
      'pooledProjection must have shape [..., 14], but has [2, 3]',
    ],
    [
      'wan_i2v_float16',
      { ...given, encoderHiddenStatesImage: random([3, 14]) },
      'ERR_SHAPE',
      'encoderHiddenStatesImage must have shape [b, s, 14], but has [3, 14]',
    ],
    [
      'wan_i2v_float16',
      { ...given, encoderHiddenStatesImage: random([2, 4, 9]) },
      'ERR_SHAPE',
      'encoderHiddenStatesImage must have shape [..., 14], but has [2, 4, 9]',
    ],
    ...[[8, 8], Float32Array.of(8, 8), new Tensor('float32', [8, 8])].map(
      (resolution): [string, object, ErrorCode, string] => [
        'pixart_float16',
        { ...size, resolution },
        'ERR_SHAPE',
        'resolution must have shape [b, 2], but has [2]',
      ],
    ),
    [
      'wan_t2v_float32',
      { ...given, pooledProjection },
      'ERR_VALUE',
      'pooledProjection is nothing that this WanTransformer3DModel takes; it takes encoderHiddenStates',
    ],
    ['sd3_float32', {}, 'ERR_VALUE', 'timesteps must be an array of at least one number'],
    [
      'flux_bfloat16',
      { ...sd3, signal: AbortSignal.abort() },
      'ERR_VALUE',
      'options has no "signal"; it belongs to the second argument (known: timesteps',
    ],
    [
      'flux_bfloat16',
      { ...sd3, caption: text },
      'ERR_VALUE',
      'options has no "caption" (known: timesteps, encoderHiddenStates',
    ],
  ])('%s refuses what does not fit, naming it: %#', async (name, options, code, message) => {
    using model = await load(name);
    await rejected(() => model.prepare(options as TransformerPrepareOptions), code, message);
  });

  it('Wan takes two images a row if it has positions for them', async () => {
    const place = folderOfPairs.path;
    cpSync(folderOf('wan_i2v_float16'), place, { recursive: true });
    const config = join(place, 'config.json');
    const fields = JSON.parse(readFileSync(config, 'utf8')) as object;
    writeFileSync(config, JSON.stringify({ ...fields, pos_embed_seq_len: 8 }));
    const weights = join(place, 'diffusion_pytorch_model.safetensors');
    const stored = await openCheckpoint(weights);
    const tensors = new Map<string, Tensor>();
    for (const name of stored.names()) tensors.set(name, await stored.tensor(name));
    await stored.close();
    tensors.set('condition_embedder.image_embedder.pos_embed', random([1, 8, 14]));
    await writeSafetensors(weights, tensors);
    using model = await TransformerEmbeddings.fromPretrained(place, { device });
    const prepare = (images: number): Promise<TransformerPlan> =>
      model.prepare({ ...given, encoderHiddenStatesImage: random([images, 4, 14]) });
    for (const images of [2, 4]) {
      using plan = await prepare(images);
      expect(plan.encoderHiddenStatesImage!.shape[0]).toBe(images / 2);
    }
    await rejected(() => prepare(3), 'ERR_SHAPE', 'must be pairs of images');
    await rejected(
      () => prepare(6),
      'ERR_SHAPE',
      'encoderHiddenStatesImage must have a number of pairs that divides the batch of 2, but has 3',
    );
  });

  it('refuses what is missing, and what the model does not take', async () => {
    using flux = await load('flux_bfloat16');
    const prepare = (options: object): Promise<unknown> =>
      flux.prepare({ timesteps: [1], pooledProjection, guidance, ...options });
    await rejected(() => prepare({ guidance: undefined }), 'ERR_VALUE', 'guidance is missing');
    await rejected(() => prepare({ resolution: [1, 2] }), 'ERR_VALUE', 'resolution');
    await rejected(() => prepare({ caption: text }), 'ERR_VALUE', 'caption');
    await rejected(() => prepare({ timesteps: [] }), 'ERR_VALUE', 'timesteps');
    await rejected(() => prepare({ guidance: [1, 2, 3] }), 'ERR_SHAPE', 'guidance');
    await rejected(() => prepare({ pooledProjection: random([2, 3]) }), 'ERR_SHAPE');
    await rejected(() => prepare({ pooledProjection: 3 }), 'ERR_VALUE', 'pooledProjection');
    const disposed = random([2, 14]);
    disposed.dispose();
    await rejected(() => prepare({ pooledProjection: disposed }), 'ERR_DISPOSED');
    await rejected(
      () =>
        flux.prepare(
          { timesteps: [1], pooledProjection, guidance },
          { signal: AbortSignal.abort() },
        ),
      'ERR_ABORTED',
    );
    flux.dispose();
    await rejected(() => prepare({}), 'ERR_DISPOSED');
  });
});
