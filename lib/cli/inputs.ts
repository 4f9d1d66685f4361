import { readdirSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { Tensor } from '../tensor/tensor.js';
import { LatteError, showShape } from '../errors.js';
import type { Source } from './options.js';
import { randomNormal } from './random.js';

/**
 * The files that opening a checkpoint reads: the weights, an index and config.json. If a folder has
 * weights with diffusers' name, its other weights are not read.
 * @param path a file or a folder, as the command line takes it.
 */
export function checkpointFiles(path: string): string[] {
  const isFolder = statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
  if (!isFolder && !path.endsWith('.index.json')) return [path, join(dirname(path), 'config.json')];
  const folders = isFolder ? [path, join(path, 'transformer')] : [dirname(path)];
  return folders.flatMap((folder) => {
    const weights = filesIn(folder).filter((file) =>
      /\.(safetensors|safetensors\.index.*\.json|ckpt)$/i.test(file),
    );
    const named = weights.filter((file) => basename(file).startsWith('diffusion_pytorch_model'));
    const read = isFolder && named.length > 0 ? named : weights;
    return [...read, join(folder, 'config.json')];
  });
}

function filesIn(folder: string): string[] {
  try {
    return readdirSync(folder).map((name) => join(folder, name));
  } catch {
    // Opening the checkpoint reports the problem.
    return [];
  }
}

/**
 * Reads an input of `embed`: the tensor `name` of a file, or the file's only tensor; or random normal
 * values in float32, which depend only on the seed.
 * @param name of the tensor, and with dashes of the option.
 * @param randomShape completes the shape of a random input.
 * @throws LatteError ERR_CHECKPOINT for a file that is malformed or has no such tensor.
 */
export async function readInput(
  source: Source,
  name: string,
  seed: number,
  randomShape: (shape: number[]) => number[],
): Promise<Tensor> {
  const { openCheckpoint, Tensor } = await import('../index.js');
  const option = name.replaceAll('_', '-');
  if (source.kind === 'random') {
    const shape = randomShape(source.shape);
    const size = shape.reduce((product, length) => product * length, 1);
    if (size > 2 ** 32) {
      throw new LatteError(
        'ERR_SHAPE',
        `--${option}: ${showShape(shape)} is too large for random values`,
      );
    }
    return new Tensor('float32', randomNormal(size, seed, name), shape);
  }
  const file = await openCheckpoint(source.path);
  try {
    const names = [...file.names()];
    const chosen = names.includes(name) ? name : names[0];
    if (chosen === undefined || (chosen !== name && names.length > 1)) {
      const shown = names.slice(0, 5).join(', ') + (names.length > 5 ? ', …' : '');
      throw new LatteError(
        'ERR_CHECKPOINT',
        `--${option}: ${source.path} must hold a tensor named '${name}', or one tensor only, ` +
          `but holds ${names.length}${names.length > 0 ? `: ${shown}` : ''}`,
        { path: source.path },
      );
    }
    return await file.tensor(chosen);
  } finally {
    await file.close();
  }
}
