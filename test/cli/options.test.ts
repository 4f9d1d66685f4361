import { describe, expect, it } from 'vitest';
import {
  counted,
  formatBytes,
  formatDuration,
  formatTable,
  printable,
} from '../../lib/cli/format.js';
import { gridSize, numberList, source, spacedTimesteps } from '../../lib/cli/options.js';
import { randomNormal } from '../../lib/cli/random.js';

describe('evenly spaced timesteps', () => {
  it('begin at 999', () => {
    expect(spacedTimesteps(20)).toEqual(Array.from({ length: 20 }, (_, i) => 999 - 50 * i));
    expect(spacedTimesteps(1)).toEqual([999]);
    expect(spacedTimesteps(3)).toEqual([999, 666, 333]);
    expect(spacedTimesteps(1000)).toEqual(Array.from({ length: 1000 }, (_, i) => 999 - i));
  });
});

describe('random inputs', () => {
  it('are normal values', () => {
    const values = Float64Array.from(randomNormal(100_001, 7, 'latent'));
    const mean = values.reduce((sum, x) => sum + x, 0) / values.length;
    const variance = values.reduce((sum, x) => sum + (x - mean) ** 2, 0) / values.length;
    const beyond = values.filter((x) => Math.abs(x) > 1.959964).length / values.length;
    // Four standard errors of each, for this many values.
    expect(Math.abs(mean)).toBeLessThan(0.0127);
    expect(Math.abs(variance - 1)).toBeLessThan(0.0179);
    expect(Math.abs(beyond - 0.05)).toBeLessThan(0.0028);
  });

  it('depend on seed and name alone, and a shorter one is the beginning of a longer one', () => {
    const values = randomNormal(40_000, 7, 'latent');
    expect(randomNormal(40_000, 7, 'latent')).toEqual(values);
    expect(randomNormal(17_003, 7, 'latent')).toEqual(values.subarray(0, 17_003));
    expect(randomNormal(8, 8, 'latent')).not.toEqual(values.subarray(0, 8));
    expect(randomNormal(8, 7, 'caption')).not.toEqual(values.subarray(0, 8));
  });

  it('are the same in every release', () => {
    // The bits of AES-128-CTR and Box-Muller, computed with openssl and Python.
    expect([...randomNormal(4, 0, 'latent')].map((x) => x.toFixed(5))).toEqual([
      '-0.53228',
      '-1.78487',
      '1.81842',
      '1.90342',
    ]);
  });
});

describe('option values', () => {
  it('are read', () => {
    expect(numberList('999,-2.5,1e-3')).toEqual([999, -2.5, 0.001]);
    expect(gridSize('16x32')).toEqual([16, 32]);
    expect(gridSize('16')).toEqual([16, 16]);
    expect(source('B,L')('random:2,120')).toEqual({ kind: 'random', shape: [2, 120] });
    expect(source('B,L')('./random.safetensors')).toEqual({
      kind: 'file',
      path: './random.safetensors',
    });
  });
});

describe('numbers for people', () => {
  it('have a unit', () => {
    expect([0, 999, 1000, 999_499, 999_500, 150_994_944, 5e9].map(formatBytes)).toEqual([
      '0 B',
      '999 B',
      '1.00 kB',
      '999 kB',
      '1.00 MB',
      '151 MB',
      '5.00 GB',
    ]);
    expect([0, 819.6, 3149].map(formatDuration)).toEqual(['0 ms', '820 ms', '3.1 s']);
  });

  it('have no control characters, nor have names from files', () => {
    expect(formatTable([['a\u001b[2Jb\nc', '\u202ex']])).toBe('  a\\u001b[2Jb\\u000ac  \\u202ex\n');
    expect(printable('line 1\nline 2\u0007')).toBe('line 1\nline 2\\u0007');
  });

  it('have a noun in the singular or the plural', () => {
    expect([0, 1, 2].map((count) => counted(count, 'frame'))).toEqual([
      '0 frames',
      '1 frame',
      '2 frames',
    ]);
  });

  it('stand in columns', () => {
    expect(
      formatTable(
        [
          ['a', '1'],
          ['long', '100'],
        ],
        [1],
      ),
    ).toBe('  a       1\n  long  100\n');
  });
});
