import { LatteError, isArray, show } from '../errors.js';
import type { TableDType } from '../sincos.js';
import { Tensor } from '../tensor/tensor.js';
import { checkInteger, checkPositive } from '../options.js';

// The largest length of an axis of a table: up to here float32 holds every whole number.
export const mostLength = 2 ** 24;

/** The tables of a rotary position embedding; both have the same shape. */
export interface RotaryPosEmbed {
  cos: Tensor;
  sin: Tensor;
}

/** The options that all functions for rotary tables have. */
export interface RotaryOptions {
  /** The base of the frequencies. Default 10000. */
  theta?: number;
  /** The dtype of the tables. Default 'float32'. */
  dtype?: TableDType;
}

/** The angles of one axis of positions. */
export interface Axis {
  /** The number of positions. */
  rows: number;
  /** The number of frequencies. A table has two columns for each. */
  columns: number;
  /** [rows, columns]: position times frequency. */
  angles: Float64Array;
}

/**
 * The angles of positions: position·f_k with f_k = theta^(−2k/dim) / linearFactor, rounded to
 * `freqsDtype`.
 * @param options `exactPositions`: frequencies are rounded, but angles are not.
 */
export function axisOf(
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
      // In the reference, float64 positions times float32 frequencies give float64 angles.
      angles[row * columns + k] = exactPositions ? angle : rounded(angle);
    }
  }
  return { rows, columns, angles };
}

/**
 * Makes the tables cos and sin, whose columns are those of all axes side by side.
 * @param rows the number of tokens.
 * @param axisRow returns which position of an axis a token has.
 * @param shape the shape of the tables, which have `rows` rows.
 * @param options `interleave`: whether the columns of an axis are [c0, c0, c1, c1 …] or [c | c].
 */
export function rotaryTables(
  axes: readonly Axis[],
  rows: number,
  axisRow: (axis: number, row: number) => number,
  dtype: TableDType,
  shape: readonly number[],
  { interleave = true } = {},
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

export function emptyTable(dtype: TableDType, shape: readonly number[]): Tensor {
  return Tensor.zeros([...shape], { dtype, device: 'cpu' });
}

/** The positions 0 … length−1. */
export function indices(length: number): Float64Array {
  return Float64Array.from({ length }, (_, i) => i);
}

export function checkTheta(theta: unknown): number {
  return checkPositive(theta, 'theta', 10000);
}

/**
 * Checks that an axis has an even number of columns.
 * @param name the name of `value` in the message.
 * @throws LatteError ERR_VALUE.
 */
export function checkEven(dim: number, name: string, value: unknown): number {
  if (dim >= 2 && dim % 2 === 0) return dim;
  throw new LatteError('ERR_VALUE', `${name} must be even and at least 2, but is ${show(value)}`);
}

/** The elements of a tensor on the cpu. @throws LatteError ERR_VALUE for another device, ERR_DISPOSED. */
export function valuesOf(tensor: Tensor, name: string): Float64Array {
  if (tensor.disposed) throw new LatteError('ERR_DISPOSED', `${name} was disposed`);
  if (tensor.device !== 'cpu') {
    throw new LatteError('ERR_VALUE', `${name} must be on the cpu, but is on ${tensor.device}`);
  }
  if (tensor.dtype === 'float64') return Float64Array.from(tensor.data as Float64Array);
  if (tensor.dtype === 'int64') return Float64Array.from(tensor.data as BigInt64Array, Number);
  return Float64Array.from(tensor.toFloat32Array());
}

/** Checks an array of `length` whole numbers in [least, most]. @throws LatteError ERR_VALUE. */
export function checkIntegers(
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
 * For tokens in the order of frames, rows and columns of h × w: a function that returns the frame
 * (axis 0), the row (1) or the column (2) of the token `row`.
 */
export function videoRows(h: number, w: number): (axis: number, row: number) => number {
  return (axis, row) =>
    axis === 0 ? Math.floor(row / (h * w)) : axis === 1 ? Math.floor(row / w) % h : row % w;
}
