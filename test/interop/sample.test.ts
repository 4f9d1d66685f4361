import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type * as Run from '../../examples/sample/run.js';
import { runSample, sampleFolder } from './packages.js';

const fixtures = join(sampleFolder, 'fixtures/tiny');
const folder = mkdtempSync(join(tmpdir(), 'latte-sample-'));
afterAll(() => rmSync(folder, { recursive: true }));

describe('a sampling run with the blocks of diffusers in onnxruntime-node', () => {
  let result: Run.RunResult;
  beforeAll(async () => {
    const path = pathToFileURL(join(sampleFolder, 'run.ts')).href;
    const { run } = (await import(path)) as typeof Run;
    result = await run({ folder: fixtures, stepCount: 6 });
  });

  it('gives the latents of the pipeline of diffusers, after each step', () => {
    const { differences, bounds } = result.agreement!;
    expect(differences).toHaveLength(6);
    for (const [step, difference] of differences.entries()) {
      expect(difference, `step ${step}`).toBeLessThanOrEqual(bounds[step]!);
    }
  });

  it('has a bound of a millionth of the latents', () => {
    const data = result.latents.data as Float32Array;
    const largest = Math.max(...data.map(Math.abs));
    expect(result.agreement!.bounds.at(-1)! / largest).toBeLessThan(5e-6);
  });
});

describe('npm run sample', () => {
  it('prints where the time went and whether it agrees, and draws the frames', async () => {
    const picture = join(folder, 'latents.png');
    const { stdout } = await runSample('--picture', picture);
    expect(stdout).toMatch(/^conditioning, once \(prepare\) +[\d.]+ ms +[\d.]+ %$/m);
    expect(stdout).toMatch(/^blocks \(onnxruntime-node\) +[\d.]+ ms/m);
    expect(stdout).toContain('\nagrees with diffusers: ');
    const png = readFileSync(picture);
    // Four frames of 16 · 6 pixels beside each other, four channels below each other.
    expect([png.readUInt32BE(16), png.readUInt32BE(20)]).toEqual([404, 404]);
  });

  it('names the command that makes a missing model', async () => {
    const failed = runSample('--size', 'xl', '--folder', join(folder, 'none'));
    await expect(failed).rejects.toThrow('make it: python/export.py --size xl');
  });
});

describe('the fixtures', () => {
  it('are small', () => {
    const files = readdirSync(fixtures, { recursive: true, encoding: 'utf8' });
    const sizes = files.map((file) => statSync(join(fixtures, file)).size);
    expect(sizes.reduce((sum, size) => sum + size)).toBeLessThan(2e6);
  });

  it('come from the versions that requirements.txt names', () => {
    const config = JSON.parse(readFileSync(join(fixtures, 'transformer/config.json'), 'utf8')) as {
      _diffusers_version: string;
    };
    const requirements = readFileSync(join(sampleFolder, 'python/requirements.txt'), 'utf8');
    expect(requirements).toContain(`diffusers==${config._diffusers_version}\n`);
    expect(existsSync(join(sampleFolder, 'python/export.py'))).toBe(true);
  });
});
