import { copyFileSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  latteFolder,
  mindoneFolder,
  pixartFolder,
  run,
  temporaryFolders,
  trainFolder,
} from './run.js';

const folder = temporaryFolders();

interface Inspection {
  path: string;
  format: string;
  scheme?: string;
  config?: Record<string, unknown>;
  tensors: { name: string; dtype: string; shape: number[]; bytes: number }[];
  skipped: { count: number; bytes: number };
}

async function inspect(path: string): Promise<Inspection> {
  const { status, stdout, stderr } = await run(['inspect', path, '--json']);
  expect(stderr).toBe('');
  expect(status).toBe(0);
  return JSON.parse(stdout) as Inspection;
}

describe('inspect', () => {
  it('shows names, configuration, embedding tensors and what is skipped', async () => {
    const { status, stdout, stderr } = await run(['inspect', latteFolder]);
    expect(stderr).toBe('');
    expect(status).toBe(0);
    expect(stdout).toMatch(/^ {2}Names +diffusers/m);
    expect(stdout).toMatch(/^ {2}hidden size +48 \(4 heads x 12\)$/m);
    expect(stdout).toMatch(/^ {2}pos_embed\.proj\.weight +float32 +\[48, 4, 2, 2\] +3\.07 kB$/m);
    expect(stdout).toMatch(
      /^12 tensors, .* kB; \d+ other tensors, .*B, are not needed and are skipped$/m,
    );
  });

  it.each([
    ['diffusers', latteFolder, 'safetensors', /^diffusers/, 12],
    ['diffusers with size conditions', pixartFolder, 'safetensors', /^diffusers/, 20],
    ['mindone', mindoneFolder, 'mindspore', /mindone/, 14],
    ['mindone training', trainFolder, 'mindspore', /network\./, 14],
  ])('gives JSON of a checkpoint of %s', async (_, path, format, scheme, count) => {
    const found = await inspect(path);
    expect(found.format).toBe(format);
    expect(found.scheme).toMatch(scheme);
    expect(found.config).toMatchObject({ innerDim: 48, captionChannels: 32, patchSize: 2 });
    expect(found.config).not.toHaveProperty('raw');
    expect(found.tensors).toHaveLength(count);
    expect(found.skipped.count).toBeGreaterThan(0);
    const projection = found.tensors.find(({ name }) => name.endsWith('pos_embed.proj.weight'))!;
    expect(projection.shape).toEqual([48, 4, 2, 2]);
    expect(projection.bytes).toBe(48 * 16 * (projection.dtype === 'float32' ? 4 : 2));
  });

  it('takes the folder above `transformer`, and the weights themselves', async () => {
    const whole = await inspect(latteFolder);
    expect(await inspect(join(latteFolder, '..'))).toEqual(whole);
    expect(await inspect(whole.path)).toEqual(whole);
  });

  it('lists every tensor where there is no config.json', async () => {
    const whole = await inspect(latteFolder);
    const place = folder();
    const path = join(place, 'alone.safetensors');
    copyFileSync(whole.path, path);
    const alone = await inspect(path);
    expect(alone.tensors).toHaveLength(whole.tensors.length + whole.skipped.count);
    expect(alone.skipped).toEqual({ count: 0, bytes: 0 });
    expect(alone).not.toHaveProperty('scheme');
    expect((await run(['inspect', path])).stdout).toContain(
      'No config.json beside it: all tensors are listed',
    );
    expect(existsSync(path)).toBe(true);
  });

  it('names a tensor that the configuration asks for and the file lacks', async () => {
    const place = folder();
    copyFileSync(join(pixartFolder, 'config.json'), join(place, 'config.json'));
    copyFileSync((await inspect(latteFolder)).path, join(place, 'x.safetensors'));
    const { status, stderr } = await run(['inspect', place]);
    expect(stderr).toMatch(
      /^latte-embeddings: .*resolution_embedder.*is missing.*\[ERR_CHECKPOINT\]\n$/,
    );
    expect(status).toBe(1);
  });
});
