import { isArray, LatteError, show, showShape } from './errors.js';
import {
  checkArgumentCount,
  checkBoolean,
  checkInteger,
  checkOptions,
  checkPositive,
} from './options.js';
import { checkTableDType, type TableDType } from './sincos.js';
import { asTensor, type TensorLike } from './tensor/tensor-like.js';
import { isTensor, Tensor } from './tensor/tensor.js';

// No axis of a table is longer: positions stay whole numbers in float32.
const mostLength = 2 ** 24;

/** The tables of a rotary embedding. */
export interface RotaryPosEmbed {
  cos: Tensor;
  sin: Tensor;
}

interface RotaryOptions {
  /** The base of the frequencies. Default 10000. */
  theta?: number;
  /** Of the tables. Default 'float32'. */
  dtype?: TableDType;
}

export interface Rotary1dOptions extends RotaryOptions {
  /** Divides the frequencies. Default 1. */
  linearFactor?: number;
  /** Multiplies theta. Default 1. */
  ntkFactor?: number;
  /** [c0 c0 c1 c1 …] (the default) instead of [c | c]. */
  repeatInterleaveReal?: boolean;
  /** The dtype in which the reference computes frequencies and angles. Default 'float32'. */
  freqsDtype?: TableDType;
}

/** Angles of positions [rows] times frequencies, each column twice. */
interface Axis {
  rows: number;
  /** Half the columns of the table. */
  columns: number;
  angles: Float64Array;
}

/** f_k = (theta)^(−2k/dim) / linearFactor, and its products with the positions. */
function axisOf(
  dim: number,
  positions: ArrayLike<number>,
  theta: number,
  freqsDtype: TableDType,
  { linearFactor = 1, exactPositions = false } = {},
): Axis {
  const rounded = freqsDtype === 'float32' ? Math.fround : (x: number): number => x;
  const columns = dim / 2;
  const frequencies = Float64Array.from({ length: columns }, (_, k) =>
    rounded(1 / theta ** ((2 * k) / dim) / linearFactor),
  );
  const rows = positions.length;
  const angles = new Float64Array(rows * columns);
  for (let row = 0; row < rows; row++) {
    for (let k = 0; k < columns; k++) {
      const angle = positions[row]! * frequencies[k]!;
      // As in the reference, float64 positions make float64 angles of float32 frequencies.
      angles[row * columns + k] = exactPositions ? angle : rounded(angle);
    }
  }
  return { rows, columns, angles };
}

/** Fills cos and sin [rows, width]: `axisRow(axis, row)` names the row of each axis. */
function tables(
  axes: readonly Axis[],
  rows: number,
  axisRow: (axis: number, row: number) => number,
  dtype: TableDType,
  shape: readonly number[],
  interleave = true,
): RotaryPosEmbed {
  const width = axes.reduce((sum, { columns }) => sum + 2 * columns, 0);
  const [cos, sin] = [emptyTable(dtype, shape), emptyTable(dtype, shape)];
  const tablesOf = axes.map(({ angles }) => [angles.map(Math.cos), angles.map(Math.sin)] as const);
  for (const [t, to] of [cos.data as Float64Array, sin.data as Float64Array].entries()) {
    for (let row = 0; row < rows; row++) {
      let at = row * width;
      for (const [axis, { columns }] of axes.entries()) {
        const from = tablesOf[axis]![t]!;
        const begin = axisRow(axis, row) * columns;
        for (let k = 0; k < columns; k++) {
          const value = from[begin + k]!;
          to[interleave ? at + 2 * k : at + k] = value;
          to[interleave ? at + 2 * k + 1 : at + columns + k] = value;
        }
        at += 2 * columns;
      }
    }
  }
  return { cos, sin };
}

function emptyTable(dtype: TableDType, shape: readonly number[]): Tensor {
  return Tensor.zeros([...shape], { dtype, device: 'cpu' });
}

function count(length: number): Float64Array {
  return Float64Array.from({ length }, (_, i) => i);
}

function checkTheta(theta: unknown): number {
  return checkPositive(theta, 'theta', 10000);
}

/** The width of an axis, which must be even. */
function checkEven(dim: number, name: string, value: unknown): number {
  if (dim >= 2 && dim % 2 === 0) return dim;
  throw new LatteError('ERR_VALUE', `${name} must be even and at least 2, but is ${show(value)}`);
}

/** A tensor on the cpu as numbers. */
function valuesOf(tensor: Tensor, name: string): Float64Array {
  if (tensor.disposed) throw new LatteError('ERR_DISPOSED', `${name} was disposed`);
  if (tensor.device !== 'cpu') {
    throw new LatteError('ERR_VALUE', `${name} must be on the cpu, but is on ${tensor.device}`);
  }
  if (tensor.dtype === 'float64') return Float64Array.from(tensor.data as Float64Array);
  if (tensor.dtype === 'int64') return Float64Array.from(tensor.data as BigInt64Array, Number);
  return Float64Array.from(tensor.toFloat32Array());
}

/** [a, b, …] of `length` whole numbers. */
function checkIntegers(
  value: unknown,
  name: string,
  length: number,
  least = 0,
  most = mostLength,
): number[] {
  if (!isArray(value) || value.length !== length) {
    throw new LatteError(
      'ERR_VALUE',
      `${name} must be an array of ${length} whole numbers, but is ${show(value)}`,
    );
  }
  return Array.from(value, (each, i) =>
    checkInteger(each, `${name}[${i}]`, undefined, least, most),
  );
}

/**
 * Rotary tables of positions along one axis: cos and sin of position·f_k with
 * f_k = (theta·ntkFactor)^(−2k/dim) / linearFactor. Source: `get_1d_rotary_pos_embed` of diffusers,
 * after "RoFormer".
 *
 * @param dim the number of channels; even.
 * @param pos how many positions 0, 1, …, or the positions themselves, flattened to M.
 * @returns cos and sin [M, dim].
 * @throws LatteError ERR_VALUE, ERR_DTYPE, ERR_DISPOSED, ERR_OUT_OF_MEMORY.
 */
export function get1dRotaryPosEmbed(
  dim: number,
  pos: number | TensorLike,
  options?: Rotary1dOptions,
): RotaryPosEmbed {
  checkArgumentCount(arguments, 3, 'get1dRotaryPosEmbed(dim, pos, options)');
  const given = checkOptions(options, [
    'theta',
    'linearFactor',
    'ntkFactor',
    'repeatInterleaveReal',
    'freqsDtype',
    'dtype',
  ]);
  const width = checkEven(checkInteger(dim, 'dim', undefined, 1, mostLength), 'dim', dim);
  const tensor = typeof pos === 'number' ? undefined : asTensor(pos, 'pos');
  const positions =
    tensor === undefined
      ? count(checkInteger(pos, 'pos', undefined, 0, mostLength))
      : valuesOf(tensor, 'pos');
  const theta = checkTheta(given.theta) * checkPositive(given.ntkFactor, 'ntkFactor', 1);
  const freqsDtype = checkTableDType(given.freqsDtype, 'freqsDtype');
  const linearFactor = checkPositive(given.linearFactor, 'linearFactor', 1);
  const interleave = checkBoolean(given.repeatInterleaveReal, 'repeatInterleaveReal', true);
  const axis = axisOf(width, positions, theta, freqsDtype, {
    linearFactor,
    exactPositions: isTensor(pos) && pos.dtype === 'float64',
  });
  const shape = [axis.rows, width];
  return tables(
    [axis],
    axis.rows,
    (_, row) => row,
    checkTableDType(given.dtype),
    shape,
    interleave,
  );
}

/** [[top, left], [bottom, right]] of a crop. */
export type CropCoords = readonly [
  start: readonly [row: number, column: number],
  stop: readonly [row: number, column: number],
];

/** The positions of `length` steps from start to stop, evenly spaced, in float32. */
function spaced(start: number, stop: number, length: number): Float64Array {
  const last = (stop * (length - 1)) / length;
  const step = length > 1 ? (last - start) / (length - 1) : 0;
  return Float64Array.from({ length }, (_, i) => Math.fround(start + i * step));
}

function checkCrop(crops: unknown): [[number, number], [number, number]] {
  const isPair = (value: unknown): value is [unknown, unknown] =>
    isArray(value) && value.length === 2;
  if (isPair(crops) && isPair(crops[0]) && isPair(crops[1])) {
    const all = [...crops[0], ...crops[1]];
    if (all.every((value) => typeof value === 'number' && Number.isFinite(value))) {
      return crops as [[number, number], [number, number]];
    }
  }
  throw new LatteError(
    'ERR_VALUE',
    `cropsCoords must be [[row, column], [row, column]] of numbers, but is ${show(crops)}`,
  );
}

/**
 * Rotary tables of a grid, row by row: the first half of the columns is the column's position, the
 * second half the row's. Source: `get_2d_rotary_pos_embed` of diffusers.
 *
 * @param dim the number of channels; a multiple of 4.
 * @param cropsCoords [start, stop], each [row, column].
 * @param gridSize [h, w].
 * @returns cos and sin [h·w, dim].
 * @throws LatteError ERR_VALUE, ERR_DTYPE, ERR_OUT_OF_MEMORY.
 */
export function get2dRotaryPosEmbed(
  dim: number,
  cropsCoords: CropCoords,
  gridSize: readonly [height: number, width: number],
  options?: RotaryOptions,
): RotaryPosEmbed {
  checkArgumentCount(arguments, 4, 'get2dRotaryPosEmbed(dim, cropsCoords, gridSize, options)');
  const { theta, dtype } = checkOptions(options, ['theta', 'dtype']);
  const width = checkInteger(dim, 'dim', undefined, 1, mostLength);
  if (width % 4 !== 0) {
    throw new LatteError('ERR_VALUE', `dim must be a multiple of 4, but is ${dim}`);
  }
  const [start, stop] = checkCrop(cropsCoords);
  const [h, w] = checkIntegers(gridSize, 'gridSize', 2) as [number, number];
  const base = checkTheta(theta);
  const axes = [
    axisOf(width / 2, spaced(start[1], stop[1], w), base, 'float32'),
    axisOf(width / 2, spaced(start[0], stop[0], h), base, 'float32'),
  ];
  const axisRow = (axis: number, row: number): number =>
    axis === 0 ? row % w : Math.floor(row / w);
  return tables(axes, h * w, axisRow, checkTableDType(dtype), [h * w, width]);
}

export interface Rotary3dOptions extends RotaryOptions {
  /** 'linspace' (the default): positions from the crop; 'slice': 0, 1, …, without a crop. */
  gridType?: 'linspace' | 'slice';
  /** `[h, w]`: the largest grid, which a slice must not exceed. */
  maxSize?: readonly [height: number, width: number];
}

/**
 * Rotary tables of a video's tokens, frame by frame and row by row: columns for the frame (dim/4), the
 * row and the column (3·dim/8 each), rounded down. Source: `get_3d_rotary_pos_embed` of diffusers.
 *
 * @param dim the number of channels.
 * @param cropsCoords [start, stop], each [row, column]; not given with 'slice'.
 * @param gridSize [h, w].
 * @param temporalSize T, the number of frames.
 * @returns cos and sin [T·h·w, the columns].
 * @throws LatteError ERR_VALUE ("Invalid value passed for `grid_type`." among them), ERR_DTYPE,
 *   ERR_OUT_OF_MEMORY.
 */
export function get3dRotaryPosEmbed(
  dim: number,
  cropsCoords: CropCoords | null | undefined,
  gridSize: readonly [height: number, width: number],
  temporalSize: number,
  options?: Rotary3dOptions,
): RotaryPosEmbed {
  checkArgumentCount(
    arguments,
    5,
    'get3dRotaryPosEmbed(dim, cropsCoords, gridSize, temporalSize, options)',
  );
  const given = checkOptions(options, ['theta', 'gridType', 'maxSize', 'dtype']);
  const { gridType = 'linspace', maxSize } = given;
  const width = checkInteger(dim, 'dim', undefined, 1, mostLength);
  const [h, w] = checkIntegers(gridSize, 'gridSize', 2) as [number, number];
  const frames = checkInteger(temporalSize, 'temporalSize', undefined, 0, mostLength);
  const [frameDim, sideDim] = [Math.floor(width / 4), 3 * Math.floor(width / 8)];
  checkEven(frameDim, 'dim // 4', frameDim);
  checkEven(sideDim, '3 * (dim // 8)', sideDim);
  const [rows, columns] = gridPositions(gridType, maxSize, cropsCoords, h, w);
  const base = checkTheta(given.theta);
  const axes = [
    axisOf(frameDim, count(frames), base, 'float32'),
    axisOf(sideDim, rows, base, 'float32'),
    axisOf(sideDim, columns, base, 'float32'),
  ];
  return tables(axes, frames * h * w, videoRows(h, w), checkTableDType(given.dtype), [
    frames * h * w,
    frameDim + 2 * sideDim,
  ]);
}

function gridPositions(
  gridType: unknown,
  maxSize: unknown,
  crops: unknown,
  h: number,
  w: number,
): [Float64Array, Float64Array] {
  if (gridType === 'linspace') {
    if (maxSize !== undefined) {
      throw new LatteError('ERR_VALUE', "maxSize is for gridType 'slice' alone");
    }
    const [start, stop] = checkCrop(crops);
    return [spaced(start[0], stop[0], h), spaced(start[1], stop[1], w)];
  }
  if (gridType !== 'slice') {
    throw new LatteError(
      'ERR_VALUE',
      `Invalid value passed for \`grid_type\`. (gridType must be 'linspace' or 'slice', but is ${show(gridType)})`,
    );
  }
  if (crops != null) {
    throw new LatteError('ERR_VALUE', "cropsCoords is for gridType 'linspace' alone");
  }
  const [mostRows, mostColumns] = checkIntegers(maxSize, 'maxSize', 2) as [number, number];
  if (h > mostRows || w > mostColumns) {
    throw new LatteError(
      'ERR_VALUE',
      `gridSize must not exceed maxSize [${mostRows}, ${mostColumns}], but is [${h}, ${w}]`,
    );
  }
  return [count(h), count(w)];
}

/** The frame, the row or the column of a video's token. */
function videoRows(h: number, w: number): (axis: number, row: number) => number {
  return (axis, row) =>
    axis === 0 ? Math.floor(row / (h * w)) : axis === 1 ? Math.floor(row / w) % h : row % w;
}

export interface FluxPosEmbedOptions extends RotaryOptions {
  /** The columns of each axis of the ids; each even. */
  axesDim: readonly number[];
}

/**
 * Flux's rotary tables: axis i of the ids gets axesDim[i] columns, side by side, with float64 angles.
 * Source: `FluxPosEmbed` of diffusers.
 *
 * @param ids [S, n] with n ≤ the number of axes; they become float32.
 * @returns cos and sin [S, the sum of the columns].
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
  return tables(axes, rows, (_, row) => row, checkTableDType(dtype), [rows, total]);
}

export interface WanRotaryPosEmbedOptions extends RotaryOptions {
  /** d, the channels of an attention head; even. */
  attentionHeadDim: number;
  /** The frames, rows and columns of a patch. */
  patchSize: readonly [pt: number, ph: number, pw: number];
  /** The most patches along an axis. */
  maxSeqLen: number;
}

/**
 * Wan's rotary tables for the tokens of a latent, in the order of `PatchEmbed3d`: columns for frame,
 * row and column of d − 4·⌊d/6⌋, 2·⌊d/6⌋ and 2·⌊d/6⌋. Source: `WanRotaryPosEmbed` of diffusers.
 *
 * @param latentShape [B, C, F, H, W]; batch and channels do not matter.
 * @returns cos and sin [1, N, 1, d].
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
    axisOf(width, count(grid[i]!), theta, 'float64'),
  );
  const [frames, h, w] = grid as [number, number, number];
  const n = frames * h * w;
  return tables(axes, n, videoRows(h, w), checkTableDType(given.dtype), [1, n, 1, d]);
}

export interface LtxVideoRotaryPosEmbedOptions extends RotaryOptions {
  /** The channels of the tables. */
  dim: number;
  /** What the positions are divided by. Default 20, 2048 and 2048. */
  baseNumFrames?: number;
  baseHeight?: number;
  baseWidth?: number;
  /** Default 1 each. */
  patchSize?: number;
  patchSizeT?: number;
}

export interface LtxVideoPositions {
  /** Needed without `videoCoords`, as the next three. */
  batchSize?: number;
  numFrames?: number;
  height?: number;
  width?: number;
  /** `[frames, rows, columns]`: multiplies the positions. Default: they are bare. */
  ropeInterpolationScale?: readonly [frames: number, rows: number, columns: number];
  /** `[B, 3, N]`: the positions themselves, instead of all others. */
  videoCoords?: Tensor;
}

/**
 * LTX-Video's rotary tables. With n = ⌊dim/6⌋ frequencies f_k = theta^(k/(n−1))·π/2 an angle is
 * f_k·(2g−1), where g is a position over its base. Columns are k by k, in each k the axes frame, row
 * and column, each twice; dim % 6 columns of cos 1 and sin 0 come first. Source:
 * `LTXVideoRotaryPosEmbed` of diffusers.
 *
 * @returns cos and sin [B, N, dim].
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

/** How many tokens there are, and the position of row i along an axis over its base. */
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
