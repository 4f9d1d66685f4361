import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { openCheckpoint, Tensor, writeSafetensors } from '../../lib/index.js';
import type * as Run from '../../examples/sample/run.js';
import type * as TextEncoder from '../../examples/sample/text-encoder.js';
import { runSample, sampleFolder } from './packages.js';

const folder = mkdtempSync(join(tmpdir(), 'latte-text-'));
afterAll(() => rmSync(folder, { recursive: true }));

const fixtures = join(sampleFolder, 'fixtures/tiny');
const load = async <T>(file: string): Promise<T> =>
  (await import(pathToFileURL(join(sampleFolder, file)).href)) as T;

/** The example uses the built package, whose tensors this module's functions do not take. */
const own = (tensor: { toFloat32Array(): Float32Array; shape: readonly number[] }): Tensor =>
  new Tensor('float32', tensor.toFloat32Array(), [...tensor.shape]);

describe('the tiny T5 encoder in transformers.js', () => {
  it('gives the hidden states of PyTorch', async () => {
    const { encodeTexts } = await load<typeof TextEncoder>('text-encoder.ts');
    const expected = await openCheckpoint(join(fixtures, 'text_encoder/expected.safetensors'));
    const prompt = expected.metadata.get('prompt')!;
    const theirs = await expected.tensor('last_hidden_state');
    const [ours] = await encodeTexts(join(fixtures, 'text_encoder'), [prompt], 5);
    await expected.close();
    expect([ours!.dtype, ours!.shape]).toEqual(['float32', theirs.shape]);
    const values = ours!.toFloat32Array();
    const largest = Math.max(...theirs.toFloat32Array().map(Math.abs));
    // Two layers in float32, with sums in another order: 2^-24 a rounding, 16 of them allowed.
    for (const [i, value] of theirs.toFloat32Array().entries()) {
      expect(Math.abs(values[i]! - value)).toBeLessThan(largest * 2 ** -20);
    }
  });

  it('samples a prompt as a file with the embeddings of both texts does', async () => {
    const { encodeTexts } = await load<typeof TextEncoder>('text-encoder.ts');
    const { run } = await load<typeof Run>('run.ts');
    const texts = { prompt: 'a cat playing the piano', negativePrompt: 'snow' };
    const both = [texts.prompt, texts.negativePrompt];
    const [prompt, negative] = await encodeTexts(join(fixtures, 'text_encoder'), both, 5);
    const captionFile = join(folder, 'caption.safetensors');
    const copied = { prompt_embeds: own(prompt!), negative_prompt_embeds: own(negative!) };
    await writeSafetensors(captionFile, copied);

    const options = { folder: fixtures, stepCount: 2 };
    const [ofTexts, ofFile, ofFixture] = [
      await run({ ...options, texts }),
      await run({ ...options, captionFile }),
      await run(options),
    ].map(({ latents }) => latents.toFloat32Array());
    expect(ofTexts).toEqual(ofFile);
    expect(ofTexts).not.toEqual(ofFixture);
  });
});

describe('npm run sample -- --prompt', () => {
  it('encodes the prompt', async () => {
    const picture = join(folder, 'latents.png');
    const { stdout } = await runSample('--prompt', 'a dog', '--steps', '1', '--picture', picture);
    expect(stdout).toContain('latents [1, 4, 4, 16, 16]');
  });

  it('and --caption exclude each other', async () => {
    const failed = runSample('--prompt', 'a dog', '--caption', 'none.safetensors');
    await expect(failed).rejects.toThrow("option '--prompt <text>' cannot be used with");
  });
});
