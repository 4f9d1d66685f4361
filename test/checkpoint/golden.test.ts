import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { LatteEmbeddings, type FloatDType, type Tensor } from '../../lib/index.js';
import * as compare from '../support/compare.js';
import { computes, testedDevices } from '../support/devices.js';
import { rejected } from '../support/errors.js';
import { goldenFolder } from '../support/golden.js';
import { readGolden } from '../support/safetensors.js';
import { fromStored, valuesOf } from '../support/tensors.js';

// Compares the golden checkpoints, from their files to the conditioning tensors, on every device.

const golden = join(goldenFolder, 'checkpoints');

interface Output {
  dtype: string;
  atol: number;
  rtol: number;
}

const { checkpoints } = JSON.parse(readFileSync(join(golden, 'index.json'), 'utf8')) as {
  checkpoints: { expected: string; outputs: Record<string, Output> }[];
};

const folders: readonly [string, string][] = [
  ['latte', 'expected_latte.safetensors'],
  ['latte_sharded', 'expected_latte.safetensors'],
  ['pixart', 'expected_pixart.safetensors'],
  ['latte_mindone', 'expected_latte_mindone.safetensors'],
  ['latte_mindone_train', 'expected_latte_mindone_train.safetensors'],
];

function outputsOf(file: string): Record<string, Output> {
  return checkpoints.find(({ expected }) => expected === file)!.outputs;
}

interface Values {
  device: string;
  dtype: string;
  shape: number[];
  values: Float64Array;
}

/**
 * The results of a checkpoint by the names of the golden data. The golden batch has another timestep in
 * each row, but a step of a plan has one timestep for all rows. So row i is taken from step i.
 */
async function conditioning(
  folder: string,
  file: string,
  device: string,
  dtype?: FloatDType,
): Promise<Record<string, Values>> {
  const tensors = readGolden(join(golden, file));
  const input = (name: string): Tensor | undefined => {
    const stored = tensors.get(name);
    return stored && fromStored(stored);
  };
  const here = async (
    { device: place, dtype: type, shape }: Tensor,
    host: Promise<Tensor>,
  ): Promise<Values> => ({
    device: place,
    dtype: type,
    shape,
    values: valuesOf(await host),
  });
  const whole = (tensor: Tensor): Promise<Values> => here(tensor, tensor.to('cpu'));
  const latte = await LatteEmbeddings.fromPretrained(join(golden, folder), { device, dtype });
  const timesteps = [...tensors.get('timestep')!.values];
  const plan = await latte.prepare({
    timesteps,
    caption: input('caption')!,
    resolution: input('resolution'),
    aspectRatio: input('aspect_ratio'),
  });
  const rowsOfSteps = async (name: 'modulation' | 'embeddedTimestep'): Promise<Values> => {
    const steps = await Promise.all(timesteps.map((_, i) => whole(plan.step(i)[name])));
    const width = steps[0]!.shape[1]!;
    const values = steps.flatMap((step, i) => [...step.values.slice(i * width, (i + 1) * width)]);
    return { ...steps[0]!, values: Float64Array.from(values) };
  };
  const results: Record<string, Values> = {
    'expected.pos_embed': await whole(await latte.embedLatent(input('latent')!)),
    'expected.caption_projection': await whole(plan.encoderHiddenStates),
    'expected.adaln_single': await rowsOfSteps('modulation'),
    'expected.embedded_timestep': await rowsOfSteps('embeddedTimestep'),
  };
  if (outputsOf(file)['expected.temp_pos_embed'] !== undefined) {
    const table = await latte.tempPosEmbed().to(device);
    results['expected.temp_pos_embed'] = await whole(table);
  }
  plan.dispose();
  latte.dispose();
  return results;
}

describe.each(testedDevices)('on %s', (device) => {
  const inFloat32 = folders.filter(
    ([, file]) => outputsOf(file)['expected.pos_embed']!.dtype === 'F32',
  );
  const computed = computes(device, 'float32')
    ? folders
    : folders.filter((folder) => !inFloat32.includes(folder));

  it.each(computed)('the golden checkpoint %s gives the expected tensors', async (folder, file) => {
    const expected = readGolden(join(golden, file));
    const results = await conditioning(folder, file, device);
    expect(Object.keys(results).sort()).toEqual(Object.keys(outputsOf(file)).sort());
    for (const [name, result] of Object.entries(results)) {
      const { dtype, shape, values } = expected.get(name)!;
      expect([name, result.device, result.dtype, result.shape]).toEqual([
        name,
        device,
        dtype,
        shape,
      ]);
      expect(
        compare.golden(result.values, values, shape, outputsOf(file)[name]!),
        name,
      ).toBeUndefined();
    }
  });

  const narrow = computed === folders ? [] : inFloat32;
  it.each(narrow)(
    "the golden checkpoint %s is refused in its float32, and in float16 gives the cpu's results",
    async (folder, file) => {
      await rejected(() => conditioning(folder, file, device), 'ERR_DTYPE', device, 'float32');
      const results = await conditioning(folder, file, device, 'float16');
      const expected = await conditioning(folder, file, 'cpu', 'float16');
      // The golden data of a float16 checkpoint names the tolerance for float16.
      const half = outputsOf('expected_pixart.safetensors');
      for (const [name, { shape, values }] of Object.entries(expected)) {
        const tolerance = half[name] ?? half['expected.pos_embed']!;
        expect(
          compare.golden(results[name]!.values, values, shape, tolerance),
          name,
        ).toBeUndefined();
      }
    },
  );
});
