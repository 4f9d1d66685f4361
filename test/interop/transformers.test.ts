import { beforeAll, describe, expect, it } from 'vitest';
import { Tensor } from '../../lib/index.js';
import { refused } from '../support/errors.js';
import { tensorOf, valuesOf as arrayOfValues } from '../support/tensors.js';
import { oneNodeModel } from './onnx-model.js';
import { importTransformers, ort, type Transformers } from './packages.js';

let transformers: Transformers;
beforeAll(async () => {
  transformers = await importTransformers();
});

const valuesOf = (tensor: Tensor): number[] => [...arrayOfValues(tensor)];

describe('@huggingface/transformers', () => {
  it.each(['float32', 'float16', 'int32', 'int64'] as const)(
    'shares the memory of %s tensors, which ONNX Runtime reads',
    async (dtype) => {
      const tensor = tensorOf(dtype, [2, 2], [1, 2, 3, 4]);
      const given = tensor.toOrt(transformers);
      expect(given).toBeInstanceOf(transformers.Tensor);
      expect([given.type, given.dims]).toEqual([dtype, [2, 2]]);
      const back = Tensor.fromOrt(given);
      expect(back.data.buffer).toBe(tensor.data.buffer);
      const run = await ort.InferenceSession.create(oneNodeModel('Neg', dtype, [2, 2]));
      const { y } = await run.run({ x: given.ort_tensor });
      expect(valuesOf(Tensor.fromOrt(y!))).toEqual([-1, -2, -3, -4]);
    },
  );

  it('gives results of its operations', () => {
    const caption = transformers.cat([transformers.ones([1, 2]), transformers.zeros([1, 2])], 0);
    expect(caption.type).toBe('int64');
    const normal = transformers.randn([3, 4]);
    const tensor = Tensor.fromOrt(normal);
    expect([tensor.dtype, tensor.shape]).toEqual(['float32', [3, 4]]);
    expect(tensor.data).toBe(normal.data);
    const row = Tensor.fromOrt(Reflect.get(normal, 1) as typeof normal);
    expect(valuesOf(row)).toEqual(valuesOf(tensor).slice(4, 8));
    expect(valuesOf(Tensor.fromOrt(caption))).toEqual([1, 1, 0, 0]);
  });

  it('refuses a disposed one', () => {
    const gone = transformers.randn([2]);
    gone.dispose();
    refused(() => Tensor.fromOrt(gone), 'ERR_DISPOSED', 'disposed by ONNX Runtime');
  });
});
