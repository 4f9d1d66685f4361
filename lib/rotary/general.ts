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
  indices,
  mostLength,
  rotaryTables,
  valuesOf,
  videoRows,
  type RotaryOptions,
  type RotaryPosEmbed,
} from './tables.js';

/** The options of {@link get1dRotaryPosEmbed}. */
export interface Rotary1dOptions extends RotaryOptions {
  /** Divides the frequencies. Default 1. */
  linearFactor?: number;
  /** Multiplies theta. Default 1. */
  ntkFactor?: number;
  /** Whether columns are [c0, c0, c1, c1 …]; false makes them [c | c]. Default true. */
  repeatInterleaveReal?: boolean;
  /** The dtype to which frequencies and angles are rounded. Default 'float32'. */
  freqsDtype?: TableDType;
}

/**
 * Rotary tables of positions along one axis: the cosines and sines of position·f_k, where
 * f_k = (theta·ntkFactor)^(−2k/dim) / linearFactor. Source: `get_1d_rotary_pos_embed` of diffusers,
 * after "RoFormer".
 *
 * @param dim the number of channels; even.
 * @param pos M for the positions 0 … M−1, or the positions themselves, flattened to M.
 * @returns cos and sin, each [M, dim], on the cpu.
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
      ? indices(checkInteger(pos, 'pos', undefined, 0, mostLength))
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
  return rotaryTables([axis], axis.rows, (_, row) => row, checkTableDType(given.dtype), shape, {
    interleave,
  });
}

/** A crop of an image: [[top, left], [bottom, right]]. */
export type CropCoords = readonly [
  start: readonly [row: number, column: number],
  stop: readonly [row: number, column: number],
];

/** `length` evenly spaced positions from `start` up to, but without, `stop`, each rounded to float32. */
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
 * Rotary tables of the tokens of a grid, row by row: the first half of the table's columns encodes the
 * token's column, the second half its row. Source: `get_2d_rotary_pos_embed` of diffusers.
 *
 * @param dim the number of channels; a multiple of 4.
 * @param cropsCoords the positions of the grid's corners: [start, stop], each [row, column].
 * @param gridSize [h, w], the tokens of the grid.
 * @returns cos and sin, each [h·w, dim], on the cpu.
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
  return rotaryTables(axes, h * w, axisRow, checkTableDType(dtype), [h * w, width]);
}

/** The options of {@link get3dRotaryPosEmbed}. */
export interface Rotary3dOptions extends RotaryOptions {
  /** 'linspace' takes positions from the crop (the default), 'slice' takes 0, 1, …. */
  gridType?: 'linspace' | 'slice';
  /** `[h, w]`: the largest grid that 'slice' accepts. Required with 'slice', refused without it. */
  maxSize?: readonly [height: number, width: number];
}

/**
 * Rotary tables of a video's tokens, frame by frame and row by row. ⌊dim/4⌋ of the table's columns
 * encode the frame, then 3·⌊dim/8⌋ the row and 3·⌊dim/8⌋ the column. Source:
 * `get_3d_rotary_pos_embed` of diffusers.
 *
 * @param dim the number of channels.
 * @param cropsCoords the positions of the grid's corners: [start, stop], each [row, column]. Refused
 *   with 'slice'.
 * @param gridSize [h, w], the tokens of a frame.
 * @param temporalSize T, the number of frames.
 * @returns cos and sin, each [T·h·w, ⌊dim/4⌋ + 6·⌊dim/8⌋], on the cpu.
 * @throws LatteError ERR_VALUE (for example "Invalid value passed for `grid_type`."), ERR_DTYPE,
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
    axisOf(frameDim, indices(frames), base, 'float32'),
    axisOf(sideDim, rows, base, 'float32'),
    axisOf(sideDim, columns, base, 'float32'),
  ];
  return rotaryTables(axes, frames * h * w, videoRows(h, w), checkTableDType(given.dtype), [
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
  return [indices(h), indices(w)];
}
