import { isArray, LatteError, show, showShape } from '../errors.js';
import { checkArgumentCount, checkInteger, checkOptions, checkPositive } from '../options.js';
import { checkTableDType } from '../sincos.js';
import { isTensor, type Tensor } from '../tensor/tensor.js';
import {
  axisOf,
  checkEven,
  checkIntegers,
  checkTheta,
  emptyTable,
  indices,
  mostLength,
  rotaryTables,
  valuesOf,
  videoRows,
  type RotaryOptions,
  type RotaryPosEmbed,
} from './tables.js';

/** The options of {@link fluxPosEmbed}. */
export interface FluxPosEmbedOptions extends RotaryOptions {
  /** How many of the table's columns encode each axis of the ids; each number is even. */
  axesDim: readonly number[];
}

/**
 * Flux's rotary tables: axesDim[i] columns encode axis i of the ids, in the order of the axes. Angles
 * are float64. Source: `FluxPosEmbed` of diffusers.
 *
 * @param ids [S, n], the position of each token along n axes, rounded to float32; n is at most the
 *   number of axes in `axesDim`.
 * @returns cos and sin, each [S, the sum of the first n of axesDim], on the cpu.
 * @throws LatteError ERR_SHAPE, ERR_VALUE, ERR_DTYPE, ERR_DISPOSED, ERR_OUT_OF_MEMORY.
 */
export function fluxPosEmbed(ids: Tensor, options: FluxPosEmbedOptions): RotaryPosEmbed {
  checkArgumentCount(arguments, 2, 'fluxPosEmbed(ids, options)');
  const { theta, axesDim, dtype } = checkOptions(options, ['theta', 'axesDim', 'dtype']);
  if (!isTensor(ids)) {
    throw new LatteError('ERR_VALUE', `ids must be a Tensor, but is ${show(ids)}`);
  }
  if (!isArray(axesDim)) {
    throw new LatteError('ERR_VALUE', `axesDim must be an array, but is ${show(axesDim)}`);
  }
  const widths = checkIntegers(axesDim, 'axesDim', axesDim.length, 1);
  const [rows, n] = ids.shape as [number, number];
  if (ids.shape.length !== 2 || n < 1 || n > widths.length) {
    throw new LatteError(
      'ERR_SHAPE',
      `ids must have shape [S, n] with n from 1 to ${widths.length}, but has ${showShape(ids.shape)}`,
    );
  }
  const values = valuesOf(ids, 'ids').map(Math.fround);
  const base = checkTheta(theta);
  const used = widths.slice(0, n);
  const axes = used.map((width, axis) => {
    checkEven(width, `axesDim[${axis}]`, width);
    const positions = Float64Array.from({ length: rows }, (_, row) => values[row * n + axis]!);
    return axisOf(width, positions, base, 'float64');
  });
  const total = used.reduce((sum, width) => sum + width, 0);
  return rotaryTables(axes, rows, (_, row) => row, checkTableDType(dtype), [rows, total]);
}

/** The options of {@link wanRotaryPosEmbed}. */
export interface WanRotaryPosEmbedOptions extends RotaryOptions {
  /** d, the channels of an attention head; even. */
  attentionHeadDim: number;
  /** The frames, rows and columns of a patch. */
  patchSize: readonly [pt: number, ph: number, pw: number];
  /** The largest number of patches along an axis. */
  maxSeqLen: number;
}

/**
 * Wan's rotary tables for the tokens of a latent, in the order of `PatchEmbed3d`. d − 4·⌊d/6⌋ of the
 * table's columns encode the frame, then 2·⌊d/6⌋ the row and 2·⌊d/6⌋ the column. Source:
 * `WanRotaryPosEmbed` of diffusers.
 *
 * @param latentShape [B, C, F, H, W]; B and C have no effect.
 * @returns cos and sin, each [1, N, 1, d], on the cpu.
 * @throws LatteError ERR_VALUE, ERR_DTYPE, ERR_OUT_OF_MEMORY.
 */
export function wanRotaryPosEmbed(
  options: WanRotaryPosEmbedOptions,
  latentShape: readonly number[],
): RotaryPosEmbed {
  checkArgumentCount(arguments, 2, 'wanRotaryPosEmbed(options, latentShape)');
  const given = checkOptions(options, [
    'attentionHeadDim',
    'patchSize',
    'maxSeqLen',
    'theta',
    'dtype',
  ]);
  const d = checkInteger(given.attentionHeadDim, 'attentionHeadDim', undefined, 6, mostLength);
  checkEven(d, 'attentionHeadDim', d);
  const patch = checkIntegers(given.patchSize, 'patchSize', 3, 1);
  const most = checkInteger(given.maxSeqLen, 'maxSeqLen', undefined, 1, mostLength);
  const shape = checkIntegers(latentShape, 'latentShape', 5, 0, 2 ** 31 - 1);
  const grid = patch.map((side, i) => Math.floor(shape[i + 2]! / side));
  for (const [i, length] of grid.entries()) {
    if (length <= most) continue;
    const axis = ['frames', 'rows', 'columns'][i]!;
    throw new LatteError(
      'ERR_VALUE',
      `latentShape must have at most maxSeqLen = ${most} patches along each axis, but has ${length} along its ${axis}`,
    );
  }
  const side = 2 * Math.floor(d / 6);
  const theta = checkTheta(given.theta);
  const axes = [d - 2 * side, side, side].map((width, i) =>
    axisOf(width, indices(grid[i]!), theta, 'float64'),
  );
  const [frames, h, w] = grid as [number, number, number];
  const n = frames * h * w;
  return rotaryTables(axes, n, videoRows(h, w), checkTableDType(given.dtype), [1, n, 1, d]);
}

/** The options of {@link ltxVideoRotaryPosEmbed}. */
export interface LtxVideoRotaryPosEmbedOptions extends RotaryOptions {
  /** The channels of the tables. */
  dim: number;
  /** Divides the positions of frames. Default 20. */
  baseNumFrames?: number;
  /** Divides the positions of rows. Default 2048. */
  baseHeight?: number;
  /** Divides the positions of columns. Default 2048. */
  baseWidth?: number;
  /** The rows and columns of a patch. Default 1. */
  patchSize?: number;
  /** The frames of a patch. Default 1. */
  patchSizeT?: number;
}

/** The tokens of {@link ltxVideoRotaryPosEmbed}: a grid, or `videoCoords`. */
export interface LtxVideoPositions {
  /** B; required with a grid. */
  batchSize?: number;
  /** The frames of the grid. */
  numFrames?: number;
  /** The rows of the grid. */
  height?: number;
  /** The columns of the grid. */
  width?: number;
  /**
   * `[frames, rows, columns]`: multiplies the grid's positions, together with patch over base. Default:
   * the positions are the indices of frames, rows and columns.
   */
  ropeInterpolationScale?: readonly [frames: number, rows: number, columns: number];
  /** `[B, 3, N]`: the frame, row and column of each token, instead of a grid. */
  videoCoords?: Tensor;
}

/**
 * LTX-Video's rotary tables. There are n = ⌊dim/6⌋ frequencies f_k = theta^(k/(n−1))·π/2. An angle is
 * f_k·(2g−1), where g is a position divided by its base. For each k the table has six columns: frame,
 * row and column, each twice. dim % 6 columns with cos 1 and sin 0 come before them. Source:
 * `LTXVideoRotaryPosEmbed` of diffusers.
 *
 * @returns cos and sin, each [B, N, dim], on the cpu.
 * @throws LatteError ERR_SHAPE, ERR_VALUE, ERR_DTYPE, ERR_DISPOSED, ERR_OUT_OF_MEMORY.
 */
export function ltxVideoRotaryPosEmbed(
  options: LtxVideoRotaryPosEmbedOptions,
  positions: LtxVideoPositions,
): RotaryPosEmbed {
  checkArgumentCount(arguments, 2, 'ltxVideoRotaryPosEmbed(options, positions)');
  const given = checkOptions(options, [
    'dim',
    'baseNumFrames',
    'baseHeight',
    'baseWidth',
    'patchSize',
    'patchSizeT',
    'theta',
    'dtype',
  ]);
  const dim = checkInteger(given.dim, 'dim', undefined, 6, mostLength);
  const base = [
    checkPositive(given.baseNumFrames, 'baseNumFrames', 20),
    checkPositive(given.baseHeight, 'baseHeight', 2048),
    checkPositive(given.baseWidth, 'baseWidth', 2048),
  ];
  const patchSize = checkInteger(given.patchSize, 'patchSize', 1);
  const patch = [checkInteger(given.patchSizeT, 'patchSizeT', 1), patchSize, patchSize];
  const theta = checkTheta(given.theta);
  const dtype = checkTableDType(given.dtype);
  const { batch, tokens, at } = ltxPositions(positions, base, patch);
  const n = Math.floor(dim / 6);
  const frequencies = Float64Array.from(
    { length: n },
    (_, k) => ((n === 1 ? 1 : theta ** (k / (n - 1))) * Math.PI) / 2,
  );
  const shape = [batch, tokens, dim];
  const [cos, sin] = [emptyTable(dtype, shape), emptyTable(dtype, shape)];
  const [cosines, sines] = [cos.data as Float64Array, sin.data as Float64Array];
  for (let row = 0; row < batch * tokens; row++) {
    let column = row * dim;
    for (const end = column + (dim % 6); column < end; column++) cosines[column] = 1;
    for (let k = 0; k < n; k++) {
      for (let axis = 0; axis < 3; axis++) {
        const angle = frequencies[k]! * (2 * at(axis, row) - 1);
        cosines[column] = cosines[column + 1] = Math.cos(angle);
        sines[column] = sines[column + 1] = Math.sin(angle);
        column += 2;
      }
    }
  }
  return { cos, sin };
}

/**
 * Checks the positions.
 * @returns the numbers of batches and tokens; and `at`, which returns g, the position of token `row` of
 *   all batches along an axis, divided by the axis' base.
 */
function ltxPositions(
  positions: LtxVideoPositions,
  base: readonly number[],
  patch: readonly number[],
): { batch: number; tokens: number; at: (axis: number, row: number) => number } {
  const sizes = ['batchSize', 'numFrames', 'height', 'width'] as const;
  const given = checkOptions(
    positions,
    [...sizes, 'ropeInterpolationScale', 'videoCoords'],
    'positions',
  );
  const { videoCoords, ropeInterpolationScale: scale } = given;
  if (videoCoords !== undefined) {
    if (!isTensor(videoCoords)) {
      throw new LatteError(
        'ERR_VALUE',
        `videoCoords must be a Tensor, but is ${show(videoCoords)}`,
      );
    }
    const other = [...sizes, 'ropeInterpolationScale' as const].find(
      (name) => name !== 'batchSize' && given[name] !== undefined,
    );
    if (other !== undefined) {
      throw new LatteError('ERR_VALUE', `${other} has no effect beside videoCoords`);
    }
    const [batch, axes, tokens] = videoCoords.shape as [number, number, number];
    const size = checkInteger(given.batchSize, 'batchSize', batch, 0);
    if (videoCoords.shape.length !== 3 || axes !== 3 || batch !== size) {
      throw new LatteError(
        'ERR_SHAPE',
        `videoCoords must have shape [${size}, 3, N], but has ${showShape(videoCoords.shape)}`,
      );
    }
    const values = valuesOf(videoCoords, 'videoCoords');
    const at = (axis: number, row: number): number =>
      values[(Math.floor(row / tokens) * 3 + axis) * tokens + (row % tokens)]! / base[axis]!;
    return { batch, tokens, at };
  }
  const [batch, frames, h, w] = sizes.map((name) =>
    checkInteger(given[name], name, undefined, 0, mostLength),
  ) as [number, number, number, number];
  const factors = [0, 1, 2].map((axis) =>
    scale === undefined
      ? 1
      : (checkPositive(isArray(scale) ? scale[axis] : NaN, 'ropeInterpolationScale', NaN) *
          patch[axis]!) /
        base[axis]!,
  );
  const rowOf = videoRows(h, w);
  const tokens = frames * h * w;
  const at = (axis: number, row: number): number => rowOf(axis, row % tokens) * factors[axis]!;
  return { batch, tokens, at };
}
