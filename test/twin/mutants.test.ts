import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildTarget } from '../support/build.js';
import { goldenIndex, goldenTensors } from '../support/golden.js';
import { mutatedSource, readMutants, run, runMutant } from './mutants/mutants.js';

// The Ascend C kernels on the model of the instructions, and whether their tests notice a broken kernel. Some
// breaks give the right numbers on the model; then the model has to notice them.

/** Set by scripts/check-toolkit.sh: the folder of a build over a toolkit's own headers. */
const toolkitBuild = process.env.LATTE_KERNEL_TEST_BUILD;
const mutants = readMutants();
/** Each mutant is compiled: one in four, unless LATTE_MUTANTS=all or a toolkit's build asks for all. */
const every = toolkitBuild !== undefined || process.env.LATTE_MUTANTS === 'all' ? 1 : 4;
let folder: string;
let build: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'latte-mutants-'));
  build = toolkitBuild ?? buildTarget('kernel_test');
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('the kernels as they are', () => {
  it('pass every case in both orders', async () => {
    const { status, output } = await run(join(build, 'kernel-test', 'kernel_test'), []);
    expect(output).toMatch(/^\d+ runs, 0 failed$/m);
    expect(status).toBe(0);
  });

  it('have a case for the patches, channels and frames of each golden case', async () => {
    const { output } = await run(join(build, 'kernel-test', 'kernel_test'), ['--list']);
    const cases = new Set(output.split('\n'));
    const golden = goldenIndex.cases.filter(({ op }) => op === 'PatchEmbed');
    expect(golden.length).toBeGreaterThan(0);
    for (const one of golden) {
      const [b, c, h, w] = goldenTensors(one).get('latent')!.shape;
      for (const dtype of ['float32', 'float16', 'bfloat16']) {
        const p = String(one.params.patch_size);
        expect(cases).toContain(`patchify p${p} c${c} ${b}x1 images ${h}x${w} ${dtype}`);
        // The fused kernel: 16-bit types, and up to 64 values in a patch.
        if (dtype === 'float32' || c! * (one.params.patch_size as number) ** 2 > 64) continue;
        const dim = String(one.params.embed_dim);
        const name = `patch_projection p${p} c${c} ${b}x1 images ${h}x${w} dim ${dim}`;
        expect([...cases].some((known) => known.startsWith(name) && known.endsWith(dtype))).toBe(
          true,
        );
      }
    }
  });
});

describe('a broken kernel is noticed', () => {
  it('in at least twenty ways', () => {
    expect(mutants.length).toBeGreaterThanOrEqual(20);
    expect(new Set(mutants.map(({ file, name }) => file + name)).size).toBe(mutants.length);
  });

  it('all of them still change the text of a kernel', async () => {
    for (const mutant of mutants) await mutatedSource(mutant);
  });

  const chosen = mutants
    .filter(({ ownHeaderOnly }) => toolkitBuild === undefined || ownHeaderOnly !== true)
    .filter((_, number) => number % every === 0);
  it.concurrent.for(chosen.map((mutant, number) => ({ ...mutant, number })))(
    '$file: $name',
    async (mutant) => {
      const own = join(folder, String(mutant.number));
      const { status, output } = await runMutant(mutant, build, own);
      await rm(own, { recursive: true });
      if (toolkitBuild === undefined) {
        expect(output).toMatch(new RegExp(`^FAILED .*(${mutant.expect})`, 'm'));
        expect(status).toBe(1);
      } else {
        // A toolkit's own assertions may end the process before the model reports.
        expect(status).not.toBe(0);
      }
    },
  );
});
