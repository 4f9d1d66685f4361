import { describe, expect, it } from 'vitest';
import { run } from './run.js';

interface Report {
  device: string;
  timings: {
    layer: string;
    model: string;
    dtype: string;
    milliseconds: { median: number; least: number; queued: number };
  }[];
}

/** Each layer, and the model whose sizes it has. */
const layers = [
  ['PatchEmbed', 'Latte-XL'],
  ['AdaLayerNormSingle', 'Latte-XL'],
  ['CombinedTimestepSizeEmbeddings', 'Latte-XL'],
  ['CaptionProjection', 'Latte-XL'],
  ['PatchEmbed3d', 'Wan 1.3B'],
  ['WanTimeTextImageEmbedding', 'Wan 1.3B'],
  ['Linear', 'Flux, contextEmbedder'],
  ['CombinedTimestepGuidanceTextProjEmbeddings', 'Flux'],
  ['CombinedTimestepTextProjEmbeddings', 'SD3'],
  ['PixArtAlphaTextProjection', 'LTX-Video'],
  ['SanaCombinedTimestepGuidanceEmbeddings', 'Sana Sprint'],
  ['QwenTimestepProjEmbeddings', 'Qwen-Image'],
  ['CogVideoXPatchEmbed', 'CogVideoX 2B'],
] as const;

describe('bench', () => {
  it('times each layer in each dtype', async () => {
    const { status, stdout, stderr } = await run(['bench', '--device', 'cpu', '--quick']);
    expect(stderr).toBe('');
    expect(status).toBe(0);
    expect(stdout).toMatch(/^ {2}LAYER +MODEL +DTYPE +MEDIAN +LEAST +QUEUED$/m);
    for (const [layer, model] of layers) {
      for (const dtype of ['float32', 'float16', 'bfloat16']) {
        expect(stdout).toMatch(
          new RegExp(`^ {2}${layer} +${model} +${dtype}( +[\\d.]+ (µs|ms|s)){3}$`, 'm'),
        );
      }
    }
    expect(stdout).toMatch(/\nTiny layers, on cpu\.\n$/);
  });

  it('prints JSON with milliseconds, of one dtype if --dtype is given', async () => {
    const { status, stdout } = await run([
      'bench',
      '--device',
      'cpu',
      '--quick',
      '--dtype',
      'float16',
      '--json',
    ]);
    expect(status).toBe(0);
    const { device, timings } = JSON.parse(stdout) as Report;
    expect(device).toBe('cpu');
    expect(timings.map(({ layer, model, dtype }) => [layer, model, dtype])).toEqual(
      layers.map(([layer, model]) => [layer, model, 'float16']),
    );
    for (const { milliseconds } of timings) {
      expect(milliseconds.least).toBeGreaterThan(0);
      expect(milliseconds.median).toBeGreaterThanOrEqual(milliseconds.least);
      expect(milliseconds.queued).toBeGreaterThan(0);
    }
  });

  it('refuses a missing device by name, and an unknown dtype with the list', async () => {
    const lacking = await run(['bench', '--device', 'npu:9', '--quick']);
    expect([lacking.status, lacking.stdout]).toEqual([1, '']);
    expect(lacking.stderr).toMatch(/npu:9/);
    const wrong = await run(['bench', '--dtype', 'int8']);
    expect(wrong.status).toBe(2);
    expect(wrong.stderr).toMatch(/float32, float16, bfloat16/);
  });
});
