import { describe, expect, it } from 'vitest';
import { type DType, type LatteErrorCode, type Tensor } from '../../lib/index.js';
import * as compare from '../support/compare.js';
import { computes, testedDevices } from '../support/devices.js';
import { rejected } from '../support/errors.js';
import {
  camelCase,
  goldenIndex,
  goldenTensors,
  goldenWeights,
  type GoldenErrorCase,
  type Params,
} from '../support/golden.js';
import { dtypeOf } from '../support/safetensors.js';
import { fromStored, tensorOf, valuesOf } from '../support/tensors.js';
import { sizeOf } from '../reference/array.js';
import type { Operation } from './operation.js';
import { operations, type OperationName } from './operations.js';

/** Converts get_1d_sincos_pos_embed to get1dSincosPosEmbed; layers keep their names. */
function operationNamed(name: string): Operation {
  const camel = name.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase());
  return operations[camel as OperationName];
}

function optionsOf(params: Params): Record<string, never> {
  const { pos_embed_dtype: _, pos_embed_loaded: __, pos: ___, hidden_dtype, ...rest } = params;
  const options = camelCase(rest);
  if (hidden_dtype != null) options.hiddenDtype = dtypeOf(hidden_dtype as string);
  return options as Record<string, never>;
}

/** The inputs resolution, aspect_ratio … by the names that forward takes. */
function inputsFrom(tensors: Iterable<[string, Tensor]>): Record<string, Tensor> {
  return camelCase(Object.fromEntries(tensors) as never) as Record<string, Tensor>;
}

async function run(
  operation: Operation,
  options: Record<string, never>,
  weights: Record<string, Tensor>,
  inputs: Record<string, Tensor>,
  dtype: DType,
  device: string,
): Promise<Tensor> {
  if (operation.call !== undefined) return operation.call(options, inputs, dtype);
  const layer = operation.layer!.make(options, device, dtype);
  try {
    layer.loadStateDict(weights);
    return (await operation.layer!.forward(layer, inputs, options))[0]!;
  } finally {
    layer.dispose();
  }
}

describe.each(testedDevices)('golden data on %s', (device) => {
  it.each(goldenIndex.cases.map((golden) => [`${golden.file} ${golden.note}`, golden] as const))(
    '%s',
    async (_, golden) => {
      const tensors = goldenTensors(golden);
      const expected = tensors.get('expected')!;
      const weights = goldenWeights(golden);
      const parameters = new Set([
        ...weights.keys(),
        'pos_embed',
        'expected',
        'expected_f64',
        'tol',
      ]);
      const inputs = inputsFrom(
        [...tensors]
          .filter(([name]) => !parameters.has(name))
          .map(([name, tensor]) => [name, fromStored(tensor)]),
      );
      const operation = operationNamed(golden.op);
      const computing = operation.call === undefined && golden.op !== 'Timesteps';
      if (computing && !computes(device, expected.dtype)) {
        await rejected(
          () =>
            Promise.resolve(
              operation.layer!.make(optionsOf(golden.params), device, expected.dtype),
            ),
          'ERR_DTYPE',
          device,
          expected.dtype,
        );
        return;
      }
      const result = await run(
        operation,
        optionsOf(golden.params),
        Object.fromEntries([...weights].map(([name, tensor]) => [name, fromStored(tensor)])),
        inputs,
        expected.dtype,
        device,
      );
      expect(result.dtype).toBe(dtypeOf(golden.expected_dtype));
      expect(result.shape).toEqual(golden.expected_shape);
      const tolerance = { ...golden, tol: tensors.get('tol')?.values };
      const here = await result.to('cpu');
      expect(
        compare.golden(valuesOf(here), expected.values, expected.shape, tolerance),
      ).toBeUndefined();
    },
  );
});

/** This package's codes for the reference's kinds of errors. */
const codes: Record<string, LatteErrorCode> = {
  ValueError: 'ERR_VALUE',
  AssertionError: 'ERR_SHAPE',
  ShapeError: 'ERR_SHAPE',
  TypeError: 'ERR_VALUE',
};

function errorInputs({ inputs, params }: GoldenErrorCase): Record<string, Tensor> {
  const tensors = Object.entries(inputs).map(([name, { dtype, shape, fill }]): [string, Tensor] => [
    name,
    tensorOf(dtypeOf(dtype), shape, new Array<number>(sizeOf(shape)).fill(fill)),
  ]);
  const pos = params.pos as number[] | undefined;
  if (pos !== undefined) tensors.push(['pos', tensorOf('float64', [pos.length], pos)]);
  return inputsFrom(tensors);
}

describe.each(testedDevices)('golden errors on %s', (device) => {
  it.each(goldenIndex.error_cases.map((golden) => [golden.name, golden] as const))(
    '%s',
    async (_, golden) => {
      const operation = operationNamed(golden.op);
      const options = optionsOf(golden.params);
      const layerDtype = computes(device, 'float32') ? 'float32' : 'float16';
      const dtype = operation.dtypes.includes('float64') ? 'float64' : layerDtype;
      const weights = Object.fromEntries(
        (operation.layer?.parameters(options) ?? []).map(([name, shape]) => [
          name,
          tensorOf(dtype, shape, new Float64Array(sizeOf(shape))),
        ]),
      );
      const texts = golden.error_contains === null ? [] : [golden.error_contains];
      await rejected(
        () => run(operation, options, weights, errorInputs(golden), dtype, device),
        // The number of rows of sizes does not divide the batch; this package counts that as a wrong shape.
        golden.name === 'size_batch_2_vs_3' ? 'ERR_SHAPE' : codes[golden.error_kind]!,
        ...texts,
      );
    },
  );
});
