import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Tensor } from '../../lib/index.js';
import { writeSafetensors } from '../../lib/checkpoint/write-safetensors.js';
import { golden } from '../support/compare.js';
import { defaultDevice } from '../support/devices.js';
import { readGolden, type StoredTensor } from '../support/safetensors.js';
import { fromStored } from '../support/tensors.js';
import {
  expectedFile,
  latteFolder,
  mindoneFolder,
  pixartFolder,
  run,
  temporaryFolders,
  trainFolder,
} from './run.js';

const folder = temporaryFolders();

interface Tolerance {
  atol: number;
  rtol: number;
}

const index = JSON.parse(readFileSync(join(expectedFile('latte'), '..', 'index.json'), 'utf8')) as {
  checkpoints: { expected: string; outputs: Record<string, Tolerance> }[];
};

/** The golden tensors of a checkpoint, and their tolerances. */
function expected(name: string) {
  const tensors = readGolden(expectedFile(name));
  const { outputs } = index.checkpoints.find(
    (entry) => entry.expected === `expected_${name}.safetensors`,
  )!;
  return {
    get: (tensor: string): StoredTensor => tensors.get(tensor)!,
    /** Compares `count` values of a result with a golden tensor, each from its given position on. */
    compare(
      result: StoredTensor,
      name: string,
      count = result.values.length,
      from = 0,
      start = 0,
    ): void {
      const wanted = tensors.get(`expected.${name}`)!;
      expect(result.dtype).toBe(wanted.dtype);
      const values = result.values.subarray(from, from + count);
      const want = wanted.values.subarray(start, start + count);
      expect(want.length).toBe(count);
      expect(golden(values, want, [count], outputs[`expected.${name}`]!), name).toBeUndefined();
    },
  };
}

async function embed(...args: string[]): Promise<Map<string, StoredTensor>> {
  const output = join(folder(), 'out.safetensors');
  const { status, stderr } = await run(['embed', ...args, '-o', output]);
  expect(stderr).toBe('');
  expect(status).toBe(0);
  return readGolden(output);
}

const from = (name: string): string[] => [
  '--latent',
  expectedFile(name),
  '--caption',
  expectedFile(name),
];

describe('embed gives the golden tensors', () => {
  it.each([
    ['latte', latteFolder, [999, 40]],
    ['latte_mindone', mindoneFolder, [1, 998]],
    ['latte_mindone_train', trainFolder, [250, 3]],
  ] as const)('of %s', async (name, checkpoint, timesteps) => {
    const want = expected(name);
    const out = await embed(
      '--checkpoint',
      checkpoint,
      ...from(name),
      '--timesteps',
      timesteps.join(),
    );
    expect([...out.keys()].sort()).toEqual([
      'embedded_timestep',
      'encoder_hidden_states',
      'hidden_states',
      'modulation',
      'temp_pos_embed',
    ]);
    for (const [result, wanted] of [
      ['hidden_states', 'pos_embed'],
      ['encoder_hidden_states', 'caption_projection'],
      ['temp_pos_embed', 'temp_pos_embed'],
    ] as const) {
      expect(out.get(result)!.shape).toEqual(want.get(`expected.${wanted}`).shape);
      want.compare(out.get(result)!, wanted);
    }
    // In the golden data row i has timestep i; here each timestep has a row for each of the two captions.
    expect(out.get('modulation')!.shape).toEqual([2, 2, 6 * 48]);
    expect(out.get('embedded_timestep')!.shape).toEqual([2, 2, 48]);
    for (const step of [0, 1]) {
      for (const b of [0, 1]) {
        const row = 2 * step + b;
        want.compare(out.get('modulation')!, 'adaln_single', 6 * 48, row * 6 * 48, step * 6 * 48);
        want.compare(out.get('embedded_timestep')!, 'embedded_timestep', 48, row * 48, step * 48);
      }
    }
  });

  it('of pixart, with its size conditions', async () => {
    const want = expected('pixart');
    for (const [row, timestep] of [500, 7].entries()) {
      const resolution = want
        .get('resolution')
        .values.subarray(2 * row, 2 * row + 2)
        .join();
      const ratio = String(want.get('aspect_ratio').values[row]);
      const out = await embed(
        ...['--checkpoint', pixartFolder, ...from('pixart'), '--timesteps', String(timestep)],
        ...['--resolution', resolution, '--aspect-ratio', ratio],
      );
      want.compare(out.get('hidden_states')!, 'pos_embed');
      want.compare(out.get('encoder_hidden_states')!, 'caption_projection');
      want.compare(out.get('modulation')!, 'adaln_single', 6 * 48, 0, row * 6 * 48);
      want.compare(out.get('embedded_timestep')!, 'embedded_timestep', 48, 0, row * 48);
    }
  });

  it('of a video [B,C,F,H,W], from files with one tensor of any name', async () => {
    const want = expected('latte');
    const place = folder();
    const { values } = want.get('latent');
    // The golden latent is [(2·3),4,8,8]: this moves the three frames behind the channels.
    const video = new Float32Array(values.length);
    for (let i = 0; i < values.length; i++) {
      const [b, f, c, pixel] = [
        Math.floor(i / 768),
        Math.floor(i / 256) % 3,
        Math.floor(i / 64) % 4,
        i % 64,
      ];
      video[((b * 4 + c) * 3 + f) * 64 + pixel] = values[i]!;
    }
    const [latent, caption] = [join(place, 'a.safetensors'), join(place, 'b.safetensors')];
    await writeSafetensors(latent, { noise: new Tensor('float32', video, [2, 4, 3, 8, 8]) });
    await writeSafetensors(caption, { text: fromStored(want.get('caption')) });
    const out = await embed('--checkpoint', latteFolder, '--latent', latent, '--caption', caption);
    want.compare(out.get('hidden_states')!, 'pos_embed');
    want.compare(out.get('encoder_hidden_states')!, 'caption_projection');
    expect(out.get('modulation')!.shape).toEqual([20, 2, 6 * 48]);
    // Three frames use the first three rows of the table.
    expect(out.get('temp_pos_embed')!.shape).toEqual([1, 3, 48]);
    want.compare(out.get('temp_pos_embed')!, 'temp_pos_embed', 3 * 48);
  });
});

describe('embed', () => {
  const random = [
    '--checkpoint',
    latteFolder,
    '--caption',
    'random:2,4',
    '--latent',
    'random:2,4,3,8,8',
  ];

  it('takes 20 timesteps evenly spaced from 999 unless told otherwise, and records them', async () => {
    const place = folder();
    const metadata = async (...args: string[]): Promise<Record<string, string>> => {
      const output = join(place, 'x.safetensors');
      expect((await run(['embed', ...random, ...args, '-o', output])).status).toBe(0);
      const bytes = readFileSync(output);
      const end = 8 + Number(bytes.readBigUInt64LE(0));
      const header = JSON.parse(bytes.toString('utf8', 8, end)) as {
        __metadata__: Record<string, string>;
      };
      return header.__metadata__;
    };
    const all = await metadata();
    expect(all.timesteps).toBe(Array.from({ length: 20 }, (_, i) => 999 - 50 * i).join());
    expect(all.dtype).toBe('float32');
    expect(all.latte_embeddings_version).toMatch(/^\d+\.\d+\.\d+/);
    expect((await metadata('--steps', '3')).timesteps).toBe('999,666,333');
    expect((await metadata('--timesteps', '10,2.5,-1')).timesteps).toBe('10,2.5,-1');
  });

  it('gives the same for the same seed, and something else for another', async () => {
    const first = await embed(...random, '--seed', '5');
    expect(await embed(...random, '--seed', '5')).toEqual(first);
    const other = await embed(...random, '--seed', '6');
    for (const name of ['hidden_states', 'encoder_hidden_states']) {
      expect(other.get(name)!.values).not.toEqual(first.get(name)!.values);
    }
    expect(other.get('modulation')).toEqual(first.get('modulation'));
  });

  it.each(['float16', 'bfloat16'])('computes in %s where asked', async (dtype) => {
    const out = await embed(...random, '--dtype', dtype);
    for (const name of [
      'hidden_states',
      'encoder_hidden_states',
      'modulation',
      'embedded_timestep',
    ]) {
      expect(out.get(name)!.dtype).toBe(dtype);
    }
    const exact = await embed(...random);
    const difference = Math.max(
      ...out
        .get('hidden_states')!
        .values.map((x, i) => Math.abs(x - exact.get('hidden_states')!.values[i]!)),
    );
    expect(difference).toBeGreaterThan(0);
    expect(difference).toBeLessThan(dtype === 'float16' ? 0.01 : 0.08);
  });

  it('has --batch-size rows per timestep', async () => {
    const out = await embed(...random, '--batch-size', '5', '--steps', '2');
    expect(out.get('modulation')!.shape).toEqual([2, 5, 6 * 48]);
    expect(out.get('encoder_hidden_states')!.shape).toEqual([2, 4, 48]);
  });

  it('leaves hidden_states out without a latent, and reports that', async () => {
    const output = join(folder(), 'x.safetensors');
    const { stdout } = await run(['embed', ...random.slice(0, 4), '-o', output]);
    expect(stdout).toContain('No hidden_states: they need a --latent');
    const out = readGolden(output);
    expect(out.has('hidden_states')).toBe(false);
    expect(out.get('temp_pos_embed')!.shape).toEqual([1, 16, 48]);
  });

  it('prints what it wrote, as text or as JSON, and no progress bar into a pipe', async () => {
    const output = join(folder(), 'x.safetensors');
    const text = await run(['embed', ...random, '-o', output]);
    expect(text.stderr).toBe('');
    expect(text.stdout).toContain(`Wrote ${output}\n`);
    expect(text.stdout).toMatch(/^\d+ timesteps, on /m);
    const one = await run(['embed', ...random, '--timesteps', '5', '-o', output]);
    expect(one.stdout).toMatch(/^1 timestep, on /m);
    expect(text.stdout).toMatch(/^ {2}hidden_states +float32 +\[6, 16, 48\] +18\.4 kB$/m);
    const json = await run(['embed', ...random, '--steps', '2', '--json', '-o', output]);
    expect(json.stderr).toBe('');
    expect(JSON.parse(json.stdout)).toEqual({
      output,
      device: defaultDevice,
      timesteps: [999, 499],
      tensors: [
        { name: 'encoder_hidden_states', dtype: 'float32', shape: [2, 4, 48], bytes: 1536 },
        { name: 'modulation', dtype: 'float32', shape: [2, 2, 288], bytes: 4608 },
        { name: 'embedded_timestep', dtype: 'float32', shape: [2, 2, 48], bytes: 768 },
        { name: 'hidden_states', dtype: 'float32', shape: [6, 16, 48], bytes: 18432 },
        { name: 'temp_pos_embed', dtype: 'float32', shape: [1, 3, 48], bytes: 576 },
      ],
    });
  });

  it("passes captions through for a PixArt without projection, in the layers' dtype", async () => {
    const place = join(__dirname, '../checkpoint/fixtures/models/pixart-without-projection');
    const expected = join(place, 'expected', 'expected.safetensors');
    const result = await embed(
      '--checkpoint',
      place,
      '--caption',
      expected,
      '--timesteps',
      '5',
      '--device',
      'cpu',
    );
    const given = readGolden(expected).get('caption')!;
    const passed = result.get('encoder_hidden_states')!;
    expect([passed.dtype, passed.shape]).toEqual(['bfloat16', given.shape]);
    expect([...passed.values]).toEqual([...given.values]);
    expect(result.has('temp_pos_embed')).toBe(false);
    const random = await embed(
      '--checkpoint',
      place,
      '--caption',
      'random:1,3',
      '--timesteps',
      '5',
    );
    expect(random.get('encoder_hidden_states')!.shape).toEqual([1, 3, 12]);
  });

  it('warns that size conditions are ignored if the checkpoint has none', async () => {
    const output = join(folder(), 'x.safetensors');
    const { status, stderr } = await run([
      ...['embed', ...random, '--resolution', '512,512', '--aspect-ratio', '1', '-o', output],
    ]);
    expect(stderr).toMatch(/--resolution and --aspect-ratio are ignored/);
    expect(status).toBe(0);
  });

  it.each<[string, string[], RegExp]>([
    [
      'a latent of other channels',
      [...random.slice(0, 4), '--latent', 'random:1,3,2,8,8'],
      /ERR_SHAPE/,
    ],
    [
      'a caption that no file holds',
      ['--checkpoint', latteFolder, '--caption', '/nonexistent.safetensors'],
      /ERR_CHECKPOINT/,
    ],
    [
      'a caption that is missing',
      ['--checkpoint', latteFolder],
      /--caption is missing: Latte of diffusers needs it.*ERR_VALUE/,
    ],
    [
      'a condition of another model',
      [...random, '--guidance', '3'],
      /--guidance is nothing that LatteTransformer3DModel takes; it takes --caption, --res.*ERR_VALUE/,
    ],
    [
      'a checkpoint without config.json',
      ['--checkpoint', '/', '--caption', 'random:1,4'],
      /config\.json.*ERR_CHECKPOINT/,
    ],
    [
      'sizes that are missing',
      ['--checkpoint', pixartFolder, '--caption', 'random:1,4'],
      /--resolution and --aspect-ratio are needed.*ERR_VALUE/,
    ],
    [
      'a random latent beyond memory',
      [...random.slice(0, 4), '--latent', 'random:9,4,999999,9999,9999'],
      /too large.*ERR_SHAPE/,
    ],
  ])('fails for %s with one line, and leaves an older output alone', async (_, args, message) => {
    const place = folder();
    const output = join(place, 'x.safetensors');
    writeFileSync(output, 'older');
    const { status, stdout, stderr } = await run(['embed', ...args, '-o', output]);
    expect(stderr).toMatch(/^latte-embeddings: .+\n$/);
    expect(stderr).toMatch(message);
    expect(stdout).toBe('');
    expect(status).toBe(1);
    expect(readFileSync(output, 'utf8')).toBe('older');
    expect(readdirSync(place)).toEqual(['x.safetensors']);
  });

  it('names the tensors of a file that holds several, none of them the one', async () => {
    const place = folder();
    const several = join(place, 'several.safetensors');
    const one = new Tensor('float32', [1]);
    await writeSafetensors(several, { first: one, second: one });
    const output = join(place, 'x.safetensors');
    const { status, stderr } = await run([
      'embed',
      ...random.slice(0, 2),
      '--caption',
      several,
      '-o',
      output,
    ]);
    expect(stderr).toMatch(/--caption: .*tensor named 'caption'.*holds 2: first, second/);
    expect(status).toBe(1);
    expect(existsSync(output)).toBe(false);
  });
});
