import { cpSync, mkdirSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  LatteEmbeddings,
  memoryUsage,
  openCheckpoint,
  Tensor,
  type DType,
} from '../../lib/index.js';
import { writeSafetensors } from '../../lib/checkpoint/write-safetensors.js';
import { rejected } from '../support/errors.js';
import { goldenFolder } from '../support/golden.js';
import { readGolden } from '../support/safetensors.js';
import { fromStored, hostBits } from '../support/tensors.js';
import { temporaryFolder } from './builders.js';

const root = temporaryFolder();
const golden = join(goldenFolder, 'checkpoints');

let copies = 0;

/** A copy of a golden checkpoint's folder, which the test may change. */
function copyOf(name: string): string {
  const path = join(root.path, `copy-${copies++}`);
  cpSync(join(golden, name), path, { recursive: true });
  return path;
}

function openFiles(path: string): string[] {
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      const target = readlinkSync(`/proc/self/fd/${fd}`);
      return target.startsWith(path) ? [target] : [];
    } catch {
      return [];
    }
  });
}

describe('fromPretrained', () => {
  const latteFolder = join(golden, 'latte');

  it('takes the folder itself, the one above, a subfolder, or a checkpoint beside its config.json', async () => {
    const places: [string, string?][] = [
      [latteFolder],
      [join(latteFolder, 'transformer')],
      [golden, 'latte/transformer'],
      [join(latteFolder, 'transformer', 'diffusion_pytorch_model.safetensors')],
    ];
    for (const [path, subfolder] of places) {
      const latte = await LatteEmbeddings.fromPretrained(path, { subfolder });
      expect(latte.config.innerDim).toBe(48);
      latte.dispose();
    }
  });

  it("takes the weights' dtype unless told otherwise", async () => {
    const dtypeOf = async (name: string, dtype?: 'float16' | 'bfloat16'): Promise<DType> => {
      const latte = await LatteEmbeddings.fromPretrained(join(golden, name), { dtype });
      const result = await latte.embedLatent(Tensor.zeros([1, 4, 8, 8]));
      expect([latte.adaLayerNormSingle.dtype, latte.captionProjection!.dtype]).toEqual([
        latte.patchEmbed.dtype,
        latte.patchEmbed.dtype,
      ]);
      latte.dispose();
      return result.dtype;
    };
    expect(await dtypeOf('latte')).toBe('float32');
    expect(await dtypeOf('pixart')).toBe('float16');
    expect(await dtypeOf('latte', 'bfloat16')).toBe('bfloat16');
  });

  it('reports its progress in bytes of the tensors that it reads', async () => {
    const reports: { loaded: number; total: number; name?: string }[] = [];
    const latte = await LatteEmbeddings.fromPretrained(join(golden, 'latte_mindone'), {
      onProgress: (report) => reports.push(report),
    });
    latte.dispose();
    const { total } = reports[0]!;
    expect(reports[0]).toEqual({ loaded: 0, total });
    expect(reports.at(-1)!.loaded).toBe(total);
    expect(reports.slice(1).map(({ name }) => name)).toContain('temp_pos_embed');
    expect(reports.slice(1).map(({ name }) => name)).not.toContain('scale_shift_table');
    for (const [i, report] of reports.slice(1).entries()) {
      expect(report.loaded).toBeGreaterThan(reports[i]!.loaded);
      expect(report.total).toBe(total);
    }
  });

  it('ends, and leaves nothing open, when onProgress throws', async () => {
    const path = copyOf('latte');
    const stop = new Error('stop');
    for (const after of [0, 1, 5, 12]) {
      let calls = 0;
      const { live } = memoryUsage();
      const loading = LatteEmbeddings.fromPretrained(path, {
        onProgress: () => {
          if (calls++ === after) throw stop;
        },
      });
      await expect(loading).rejects.toBe(stop);
      expect(openFiles(path)).toEqual([]);
      // "At most", because the garbage collector may have freed what earlier tests left.
      expect(memoryUsage().live).toBeLessThanOrEqual(live);
    }
  });

  it('leaves nothing open when the checkpoint is damaged half-way', async () => {
    const path = copyOf('latte_mindone');
    const file = join(path, 'latte_t2v.ckpt');
    const bytes = readFileSync(file);
    const { live } = memoryUsage();
    let calls = 0;
    const loading = LatteEmbeddings.fromPretrained(path, {
      onProgress: () => {
        if (calls++ === 4) writeFileSync(file, bytes.subarray(0, 100));
      },
    });
    await rejected(() => loading, 'ERR_CHECKPOINT', file);
    expect(openFiles(path)).toEqual([]);
    expect(memoryUsage().live).toBeLessThanOrEqual(live);
  });

  it('names the tensor that is missing or does not fit config.json, and the names tried', async () => {
    const path = copyOf('latte');
    const config = join(path, 'transformer', 'config.json');
    const text = readFileSync(config, 'utf8');
    writeFileSync(config, text.replace('"caption_channels": 32', '"caption_channels": 33'));
    await rejected(
      () => LatteEmbeddings.fromPretrained(path),
      'ERR_CHECKPOINT',
      '"caption_projection.linear_1.weight" must have shape [48, 33]',
      'has [48, 32]',
      'diffusers',
    );
    const pixArt = text.replace('LatteTransformer3DModel', 'PixArtTransformer2DModel');
    writeFileSync(config, pixArt.replace('{', '{"use_additional_conditions":true,'));
    await rejected(
      () => LatteEmbeddings.fromPretrained(path),
      'ERR_CHECKPOINT',
      'resolution_embedder.linear_1.weight" is missing',
      'diffusers',
    );
    expect(openFiles(path)).toEqual([]);
  });

  it('refuses folders without what it needs, and options of the wrong kind', async () => {
    const empty = join(root.path, 'empty');
    mkdirSync(empty);
    await rejected(
      () => LatteEmbeddings.fromPretrained(empty),
      'ERR_CHECKPOINT',
      empty,
      'config.json',
    );
    await rejected(
      () => LatteEmbeddings.fromPretrained(join(empty, 'none')),
      'ERR_CHECKPOINT',
      'none',
      'does not exist',
    );
    await rejected(
      () => LatteEmbeddings.fromPretrained(latteFolder, { subfolder: 'vae' }),
      'ERR_CHECKPOINT',
      join('vae', 'config.json'),
    );
    writeFileSync(
      join(empty, 'config.json'),
      readFileSync(join(latteFolder, 'transformer', 'config.json')),
    );
    await rejected(
      () => LatteEmbeddings.fromPretrained(empty),
      'ERR_CHECKPOINT',
      empty,
      'holds no',
    );
    await rejected(() => LatteEmbeddings.fromPretrained(7 as never), 'ERR_VALUE', 'folder', '7');
    await rejected(
      () => LatteEmbeddings.fromPretrained(latteFolder, null as never),
      'ERR_VALUE',
      'options',
      'null',
    );
    await rejected(
      () => LatteEmbeddings.fromPretrained(latteFolder, { subfolder: 7 as never }),
      'ERR_VALUE',
      'subfolder',
      '7',
    );
    await rejected(
      () => LatteEmbeddings.fromPretrained(latteFolder, { dtype: 'float64' as never }),
      'ERR_DTYPE',
      'float64',
    );
    await rejected(
      () => LatteEmbeddings.fromPretrained(latteFolder, { device: 'gpu' }),
      'ERR_VALUE',
      'gpu',
    );
  });
});

describe('a checkpoint under other names', () => {
  const pixArt: readonly [string, string][] = [
    ['pos_embed.proj', 'x_embedder.proj'],
    ['adaln_single.emb.timestep_embedder.linear_1', 't_embedder.mlp.0'],
    ['adaln_single.emb.timestep_embedder.linear_2', 't_embedder.mlp.2'],
    ['adaln_single.emb.resolution_embedder.linear_1', 'csize_embedder.mlp.0'],
    ['adaln_single.emb.resolution_embedder.linear_2', 'csize_embedder.mlp.2'],
    ['adaln_single.emb.aspect_ratio_embedder.linear_1', 'ar_embedder.mlp.0'],
    ['adaln_single.emb.aspect_ratio_embedder.linear_2', 'ar_embedder.mlp.2'],
    ['adaln_single.linear', 't_block.1'],
    ['caption_projection.linear_1', 'y_embedder.y_proj.fc1'],
    ['caption_projection.linear_2', 'y_embedder.y_proj.fc2'],
  ];

  /** A copy of a golden checkpoint with its tensors changed. */
  async function changed(
    name: string,
    change: (name: string, tensor: Tensor) => [string, Tensor] | Promise<[string, Tensor]>,
  ): Promise<string> {
    const path = copyOf(name);
    const file = join(path, 'transformer', 'diffusion_pytorch_model.safetensors');
    const checkpoint = await openCheckpoint(file);
    const tensors = new Map<string, Tensor>();
    for (const stored of checkpoint.names()) {
      tensors.set(...(await change(stored, await checkpoint.tensor(stored))));
    }
    await checkpoint.close();
    await writeSafetensors(file, tensors);
    return path;
  }

  async function outputs(path: string): Promise<Uint8Array[]> {
    const latte = await LatteEmbeddings.fromPretrained(path);
    const tensors = readGolden(join(golden, 'expected_pixart.safetensors'));
    const input = (name: string): Tensor => fromStored(tensors.get(name)!);
    const plan = await latte.prepare({
      timesteps: [999, 3],
      caption: input('caption'),
      resolution: input('resolution'),
      aspectRatio: input('aspect_ratio'),
    });
    const { modulation, embeddedTimestep } = plan.step(1);
    const hidden = await latte.embedLatent(input('latent'));
    return Promise.all(
      [plan.encoderHiddenStates, modulation, embeddedTimestep, hidden].map(hostBits),
    );
  }

  it.each(['', 'network.'])(
    '(original PixArt, prefix "%s") gives the same numbers',
    async (prefix) => {
      const path = await changed('pixart', (name, tensor) => {
        const family = pixArt.find(([diffusers]) => name.startsWith(`${diffusers}.`));
        const renamed = family === undefined ? name : name.replace(...family);
        return [prefix + renamed, tensor];
      });
      expect(await outputs(path)).toEqual(await outputs(join(golden, 'pixart')));
    },
  );

  it('may mix dtypes: the layers have that of the patch projection', async () => {
    const path = await changed('pixart', async (name, tensor) => {
      if (name.startsWith('adaln_single.linear'))
        return [name, await tensor.to({ dtype: 'float64' })];
      if (name.startsWith('caption')) return [name, await tensor.to({ dtype: 'float32' })];
      return [name, tensor];
    });
    const latte = await LatteEmbeddings.fromPretrained(path);
    expect(latte.captionProjection!.dtype).toBe('float16');
    latte.dispose();
    // float32 and float64 hold every float16 value, so the results must be equal.
    expect(await outputs(path)).toEqual(await outputs(join(golden, 'pixart')));
  });

  it('has layers in float32 where the weights are float64', async () => {
    const path = await changed('latte', async (name, tensor) => [
      name,
      await tensor.to({ dtype: 'float64' }),
    ]);
    const latte = await LatteEmbeddings.fromPretrained(path);
    expect(latte.patchEmbed.dtype).toBe('float32');
    latte.dispose();
  });
});
