import { isArray, LatteError, show, showShape } from './errors.js';
import { native } from './native.js';
import {
  checkArgumentCount,
  checkBoolean,
  checkInteger,
  checkOptions,
  checkPositive,
} from './options.js';
import { asTensor, type TensorLike } from './tensor/tensor-like.js';
import { handleToReadNow } from './tensor/state.js';
import { stateOf, wrapHandle, type Tensor } from './tensor/tensor.js';

// The largest length of an axis of a table. It bounds the temporary arrays, which are one axis long.
const mostLength = 2 ** 24;

/** The dtype of a position table. Default 'float32'. */
export type TableDType = 'float32' | 'float64';

export interface SincosFromGridOptions {
  dtype?: TableDType;
}

export interface Sincos1dOptions extends SincosFromGridOptions {
  /** Positions are i / interpolationScale. Default 1. */
  interpolationScale?: number;
  /** Accepted for the reference's sake; has no effect. */
  baseSize?: number;
}

export interface Sincos2dOptions extends Sincos1dOptions {
  /** Prepends `extraTokens` zero rows. Default false. */
  clsToken?: boolean;
  /** How many rows `clsToken` prepends; without `clsToken` it has no effect. Default 0. */
  extraTokens?: number;
  /** The grid size at which one step is one position. Default 16. */
  baseSize?: number;
}

/**
 * 1-D sinusoidal position table for the positions 0 … length−1.
 *
 * Row i is [sin(i/s·ω) | cos(i/s·ω)] with ω_k = 10000^(−k/(embedDim/2)) and s the interpolation
 * scale. Everything is computed in float64 and rounded once at the end. Source:
 * `get_1d_sincos_pos_embed` of diffusers and mindone, after "Attention Is All You Need", section 3.5.
 *
 * @param embedDim the number of channels; even.
 * @param length the number of positions.
 * @returns [length, embedDim], on the cpu.
 * @throws LatteError ERR_VALUE, ERR_DTYPE, ERR_OUT_OF_MEMORY.
 */
export function get1dSincosPosEmbed(
  embedDim: number,
  length: number,
  options?: Sincos1dOptions,
): Tensor {
  checkArgumentCount(arguments, 3, 'get1dSincosPosEmbed(embedDim, length, options)');
  const { interpolationScale, baseSize, dtype } = checkOptions(options, [
    'interpolationScale',
    'baseSize',
    'dtype',
  ]);
  const dim = checkEmbedDim(embedDim, 2);
  const rows = checkInteger(length, 'length', undefined, 0, mostLength);
  const scale = checkPositive(interpolationScale, 'interpolationScale', 1);
  if (baseSize !== undefined) checkInteger(baseSize, 'baseSize');
  return wrapHandle(native.sincosPosEmbed1d(dim, rows, scale, checkTableDType(dtype)));
}

/**
 * 1-D sinusoidal embedding of any positions, fractional and negative ones too; see
 * {@link get1dSincosPosEmbed}.
 *
 * @param embedDim the number of channels; even.
 * @param pos positions of any shape, flattened to M.
 * @returns [M, embedDim], on the cpu.
 * @throws LatteError ERR_VALUE, ERR_DTYPE, ERR_OUT_OF_MEMORY.
 */
export function get1dSincosPosEmbedFromGrid(
  embedDim: number,
  pos: TensorLike,
  options?: SincosFromGridOptions,
): Tensor {
  checkArgumentCount(arguments, 3, 'get1dSincosPosEmbedFromGrid(embedDim, pos, options)');
  const { dtype } = checkOptions(options, ['dtype']);
  const dim = checkEmbedDim(embedDim, 2);
  const positions = handleToReadNow(stateOf(asTensor(pos, 'pos')), 'pos');
  return wrapHandle(native.sincosPosEmbedFromGrid(dim, positions, checkTableDType(dtype)));
}

/**
 * 2-D sinusoidal position table for an h × w grid, row by row (h-major).
 *
 * The first half of the channels encodes the column, the second half the row; each half is
 * [sin | cos] as in {@link get1dSincosPosEmbed}. Positions are i / (n/baseSize) /
 * interpolationScale, where n is the length of the axis. They are computed in float32, rounded at
 * every step; angles, sines and cosines in float64. Source: `get_2d_sincos_pos_embed` of diffusers
 * and mindone.
 *
 * @param embedDim the number of channels; a multiple of 4.
 * @param gridSize n for an n × n grid, or [h, w].
 * @returns [h·w, embedDim], or [extraTokens + h·w, embedDim] with clsToken; on the cpu.
 * @throws LatteError ERR_VALUE, ERR_DTYPE, ERR_OUT_OF_MEMORY.
 * @example
 * ```ts
 * // The table of Latte-1's patches: a latent of 64 × 64 in patches of 2 × 2.
 * const table = get2dSincosPosEmbed(1152, 32, { baseSize: 32 }); // [1024, 1152]
 * ```
 */
export function get2dSincosPosEmbed(
  embedDim: number,
  gridSize: number | readonly [number, number],
  options?: Sincos2dOptions,
): Tensor {
  checkArgumentCount(arguments, 3, 'get2dSincosPosEmbed(embedDim, gridSize, options)');
  const { clsToken, extraTokens, interpolationScale, baseSize, dtype } = checkOptions(options, [
    'clsToken',
    'extraTokens',
    'interpolationScale',
    'baseSize',
    'dtype',
  ]);
  const dim = checkEmbedDim(embedDim, 4);
  const sizes: readonly unknown[] = isArray(gridSize) ? gridSize : [gridSize, gridSize];
  if (sizes.length !== 2) {
    throw new LatteError('ERR_VALUE', `gridSize must be n or [h, w], but is ${show(gridSize)}`);
  }
  const height = checkInteger(sizes[0], 'gridSize', undefined, 0, mostLength);
  const width = checkInteger(sizes[1], 'gridSize', undefined, 0, mostLength);
  const scale = checkPositive(interpolationScale, 'interpolationScale', 1);
  const base = checkInteger(baseSize, 'baseSize', 16);
  const extra = checkInteger(extraTokens, 'extraTokens', 0, 0, mostLength);
  const zeroRows = checkBoolean(clsToken, 'clsToken', false) ? extra : 0;
  return wrapHandle(
    native.sincosPosEmbed2d(dim, height, width, zeroRows, scale, base, checkTableDType(dtype)),
  );
}

/**
 * 2-D sinusoidal embedding of any positions: grid[0] gives the first half of the channels,
 * grid[1] the second; see {@link get1dSincosPosEmbed}.
 *
 * @param embedDim the number of channels; a multiple of 4.
 * @param grid positions [2, …]; each half is flattened to M. An array holds one half after the other.
 * @returns [M, embedDim], on the cpu.
 * @throws LatteError ERR_SHAPE, ERR_VALUE, ERR_DTYPE, ERR_OUT_OF_MEMORY.
 */
export function get2dSincosPosEmbedFromGrid(
  embedDim: number,
  grid: TensorLike,
  options?: SincosFromGridOptions,
): Tensor {
  checkArgumentCount(arguments, 3, 'get2dSincosPosEmbedFromGrid(embedDim, grid, options)');
  const { dtype } = checkOptions(options, ['dtype']);
  const dim = checkEmbedDim(embedDim, 4);
  const tensor = asTensor(grid, 'grid');
  // Of an array, which has no shape, only the length can be checked.
  const flat = tensor !== grid;
  if (flat ? tensor.size % 2 !== 0 : tensor.shape[0] !== 2) {
    throw new LatteError(
      'ERR_SHAPE',
      `grid must have shape [2, …], but has ${showShape(tensor.shape)}`,
    );
  }
  return wrapHandle(
    native.sincosPosEmbed2dFromGrid(
      dim,
      handleToReadNow(stateOf(tensor), 'grid'),
      checkTableDType(dtype),
    ),
  );
}

export interface Sincos3dOptions {
  /** Divides the positions in a frame. Default 1. */
  spatialInterpolationScale?: number;
  /** Divides the positions in time. Default 1. */
  temporalInterpolationScale?: number;
  dtype?: TableDType;
}

/**
 * 3-D sinusoidal position table for the tokens of a video, frame by frame and row by row.
 *
 * A row has D/4 channels for the frame, 3D/8 for the column and 3D/8 for the row; each part is
 * [sin | cos] as in {@link get1dSincosPosEmbed}. Positions are i / scale in float32; angles, sines
 * and cosines are float64. Source: `get_3d_sincos_pos_embed` of diffusers.
 *
 * @param embedDim D, a multiple of 16.
 * @param spatialSize n for n × n tokens in each frame, or [width, height].
 * @param temporalSize T, the number of frames.
 * @returns [T, height·width, D], on the cpu.
 * @throws LatteError ERR_VALUE, ERR_DTYPE, ERR_OUT_OF_MEMORY.
 */
export function get3dSincosPosEmbed(
  embedDim: number,
  spatialSize: number | readonly [width: number, height: number],
  temporalSize: number,
  options?: Sincos3dOptions,
): Tensor {
  checkArgumentCount(
    arguments,
    4,
    'get3dSincosPosEmbed(embedDim, spatialSize, temporalSize, options)',
  );
  const given = checkOptions(options, [
    'spatialInterpolationScale',
    'temporalInterpolationScale',
    'dtype',
  ]);
  const dim = checkInteger(embedDim, 'embedDim', undefined, 1, mostLength);
  checkVideoEmbedDim(dim);
  const sizes: readonly unknown[] = isArray(spatialSize) ? spatialSize : [spatialSize, spatialSize];
  if (sizes.length !== 2) {
    throw new LatteError(
      'ERR_VALUE',
      `spatialSize must be n or [width, height], but is ${show(spatialSize)}`,
    );
  }
  const scale = (name: 'spatialInterpolationScale' | 'temporalInterpolationScale'): number =>
    checkPositive(given[name], name, 1);
  return wrapHandle(
    native.sincosPosEmbed3d(
      dim,
      checkInteger(temporalSize, 'temporalSize', undefined, 0, mostLength),
      checkInteger(sizes[1], 'spatialSize', undefined, 0, mostLength),
      checkInteger(sizes[0], 'spatialSize', undefined, 0, mostLength),
      scale('spatialInterpolationScale'),
      scale('temporalInterpolationScale'),
      checkTableDType(given.dtype),
    ),
  );
}

/** Throws ERR_VALUE, with the reference's message, unless a 3-D table can have `dim` channels. @internal */
export function checkVideoEmbedDim(dim: number): void {
  if (dim % 4 !== 0) {
    throw new LatteError(
      'ERR_VALUE',
      `\`embed_dim\` must be divisible by 4, but embedDim is ${dim}`,
    );
  }
  if (dim % 16 !== 0) {
    throw new LatteError(
      'ERR_VALUE',
      `embed_dim must be divisible by 2 (each part of a 3-D table, too: embedDim by 16), but embedDim is ${dim}`,
    );
  }
}

function checkEmbedDim(embedDim: unknown, divisor: 2 | 4): number {
  const dim = checkInteger(embedDim, 'embedDim', undefined, 1, mostLength);
  if (dim % divisor !== 0) {
    // The reference's message. A 2-D table checks each half of embed_dim, so embedDim itself must be
    // a multiple of 4.
    const halves = divisor === 4 ? ' (each half of a 2-D table, too)' : '';
    throw new LatteError(
      'ERR_VALUE',
      `embed_dim must be divisible by 2${halves}, but embedDim is ${dim}`,
    );
  }
  return dim;
}

/** Checks the dtype of a position table; undefined means 'float32'. @throws LatteError ERR_DTYPE. @internal */
export function checkTableDType(dtype: unknown, name = 'dtype'): TableDType {
  if (dtype === undefined) return 'float32';
  if (dtype === 'float32' || dtype === 'float64') return dtype;
  throw new LatteError(
    'ERR_DTYPE',
    `${name} must be 'float32' or 'float64', but is ${show(dtype)}`,
  );
}
