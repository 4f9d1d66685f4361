import { describe, expect, it } from 'vitest';
import { Tensor, memoryUsage } from '../../lib/index.js';
import { largePatchEmbed, random, smallPatchEmbed } from '../support/layers.js';

describe('disposing', () => {
  it('of tensors gives their memory back at once', () => {
    const before = memoryUsage().live;
    const tensors = Array.from({ length: 10 }, () => Tensor.zeros([1_000_000]));
    expect(memoryUsage().live - before).toBeGreaterThanOrEqual(40_000_000);
    for (const tensor of tensors) tensor.dispose();
    expect(memoryUsage().live).toBe(before);
  });

  it('at the end of a `using` block', () => {
    const before = memoryUsage().live;
    const tensor = Tensor.zeros([1_000_000]);
    tensor[Symbol.dispose]();
    expect(memoryUsage().live).toBe(before);
    expect(tensor.disposed).toBe(true);
  });

  it('of one of two tensors over the same memory keeps it', async () => {
    const before = memoryUsage().live;
    const tensor = Tensor.zeros([1_000_000]);
    const twin = await tensor.to('cpu');
    expect(memoryUsage().live - before).toBeLessThan(8_000_000);
    tensor.dispose();
    expect(memoryUsage().live - before).toBeGreaterThanOrEqual(4_000_000);
    twin.dispose();
    expect(memoryUsage().live).toBe(before);
  });

  it('of a layer gives its weights back', () => {
    const before = memoryUsage().live;
    const layer = smallPatchEmbed();
    layer.forwardSync(random([1, 4, 8, 8])).dispose();
    expect(memoryUsage().live).toBeGreaterThan(before);
    layer.dispose();
    expect(memoryUsage().live).toBe(before);
  });

  it('of everything during a forward gives it back when the forward ends', async () => {
    const before = memoryUsage().live;
    const { layer, latent } = largePatchEmbed();
    const promise = layer.forward(latent());
    layer.dispose();
    (await promise).dispose();
    expect(memoryUsage().live).toBe(before);
  });

  it('what is pooled stays within its limit', () => {
    const { pooled, limit } = memoryUsage();
    expect(pooled).toBeGreaterThanOrEqual(0);
    expect(pooled).toBeLessThanOrEqual(limit);
  });
});
