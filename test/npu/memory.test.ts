import { afterEach, describe, expect, it } from 'vitest';
import { CaptionProjection, Tensor, memoryUsage } from '../../lib/index.js';
import { mlpParameters } from '../reference/layers.js';
import { refused, rejected } from '../support/errors.js';
import { random, randomWeights } from '../support/layers.js';
import { twin } from '../support/twin.js';

const device = 'npu:0';
const layer = new CaptionProjection({ inFeatures: 8, hiddenSize: 12, device });
layer.loadStateDict(randomWeights(mlpParameters('', 8, 12, 12)));

/** The memory of a simulated device, in bytes. */
const all = 2 ** 31;

// Sizes that no earlier test has put into the pool.
const sizes = [100_000, 200_000, 400_000];

async function run(rows: number): Promise<void> {
  (await layer.forward(random([rows, 8]))).dispose();
}

afterEach(() => {
  twin().clearFaults();
  twin().setMemory(all);
});

describe('memory of an NPU', () => {
  it('is allocated once: the next forward takes it from the pool', async () => {
    await run(3);
    await run(3);
    twin().inject({ call: 'allocate', nth: 1, code: 207001 });
    await run(3);
    expect(twin().clearFaults()).toBe(1);
  });

  // ACL_ERROR_RT_MEMORY_ALLOCATION, ACL_ERROR_BAD_ALLOC, ACL_ERROR_STORAGE_OVER_LIMIT
  it.each([207001, 200000, 300000])(
    'that cannot be had (%i): the pool is emptied, and it is asked for once more',
    async (code) => {
      await run(3);
      expect(memoryUsage({ device }).pooled).toBeGreaterThan(0);
      twin().reset();
      twin().inject({ call: 'aclrtMalloc', nth: 1, code });
      const large = Tensor.zeros([sizes.shift()!], { device });
      const { calls } = twin().counters();
      expect([calls.aclrtMalloc, calls.aclrtFree! > 0]).toEqual([2, true]);
      expect(memoryUsage({ device }).pooled).toBe(0);
      large.dispose();
      await run(3);
    },
  );

  it('that is not free: ERR_OUT_OF_MEMORY, and a smaller request succeeds', async () => {
    await run(3);
    twin().setMemory(2 ** 20);
    refused(() => Tensor.zeros([2 ** 19], { device }), 'ERR_OUT_OF_MEMORY', 'device', '2097152');
    await rejected(() => layer.forward(random([30_000, 8])), 'ERR_OUT_OF_MEMORY', 'device memory');
    await rejected(() => random([2 ** 19]).to(device), 'ERR_OUT_OF_MEMORY');
    await run(3);
    twin().setMemory(all);
    await run(30_000);
  });

  it('failing for another reason is another error: this one means that the device is lost', async () => {
    await random([4]).to('npu:1');
    twin().inject({ call: 'aclrtMalloc', nth: 1, code: 507899 });
    await rejected(() => random([12_345]).to('npu:1'), 'ERR_DEVICE', '507899');
    await rejected(() => random([4]).to('npu:1'), 'ERR_DEVICE');
  });
});
