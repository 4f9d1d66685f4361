import { isArray, LatteError, show } from '../errors.js';
import {
  checkArgumentCount,
  checkBoolean,
  checkInteger,
  checkOptions,
  checkPositive,
} from '../options.js';
import { checkTableDType, type TableDType } from '../sincos.js';
import { asTensor, type TensorLike } from '../tensor/tensor-like.js';
import { isTensor } from '../tensor/tensor.js';
import {
  axisOf,
  checkEven,
  checkIntegers,
  checkTheta,
  count,
  mostLength,
  tables,
  valuesOf,
  videoRows,
  type RotaryOptions,
  type RotaryPosEmbed,
} from './tables.js';

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
