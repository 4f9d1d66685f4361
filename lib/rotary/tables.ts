import { LatteError, isArray, show } from '../errors.js';
import type { TableDType } from '../sincos.js';
import { Tensor } from '../tensor/tensor.js';
import { checkInteger, checkPositive } from '../options.js';

// No axis of a table is longer: positions stay whole numbers in float32.
export const mostLength = 2 ** 24;

/** The tables of a rotary embedding. */
export interface RotaryPosEmbed {
  cos: Tensor;
  sin: Tensor;
}

export interface RotaryOptions {
  /** The base of the frequencies. Default 10000. */
  theta?: number;
  /** Of the tables. Default 'float32'. */
  dtype?: TableDType;
}

/** Angles of positions [rows] times frequencies, each column twice. */
export interface Axis {
  rows: number;
  /** Half the columns of the table. */
  columns: number;
  angles: Float64Array;
}

/** f_k = (theta)^(−2k/dim) / linearFactor, and its products with the positions. */
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
      // As in the reference, float64 positions make float64 angles of float32 frequencies.
      angles[row * columns + k] = exactPositions ? angle : rounded(angle);
    }
  }
  return { rows, columns, angles };
}

/** Fills cos and sin [rows, width]: `axisRow(axis, row)` names the row of each axis. */
export function tables(
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

export function emptyTable(dtype: TableDType, shape: readonly number[]): Tensor {
  return Tensor.zeros([...shape], { dtype, device: 'cpu' });
}

export function count(length: number): Float64Array {
  return Float64Array.from({ length }, (_, i) => i);
}

export function checkTheta(theta: unknown): number {
  return checkPositive(theta, 'theta', 10000);
}

/** The width of an axis, which must be even. */
export function checkEven(dim: number, name: string, value: unknown): number {
  if (dim >= 2 && dim % 2 === 0) return dim;
  throw new LatteError('ERR_VALUE', `${name} must be even and at least 2, but is ${show(value)}`);
}

/** A tensor on the cpu as numbers. */
export function valuesOf(tensor: Tensor, name: string): Float64Array {
  if (tensor.disposed) throw new LatteError('ERR_DISPOSED', `${name} was disposed`);
  if (tensor.device !== 'cpu') {
    throw new LatteError('ERR_VALUE', `${name} must be on the cpu, but is on ${tensor.device}`);
  }
  if (tensor.dtype === 'float64') return Float64Array.from(tensor.data as Float64Array);
  if (tensor.dtype === 'int64') return Float64Array.from(tensor.data as BigInt64Array, Number);
  return Float64Array.from(tensor.toFloat32Array());
}

/** [a, b, …] of `length` whole numbers. */
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

/** The frame, the row or the column of a video's token. */
export function videoRows(h: number, w: number): (axis: number, row: number) => number {
  return (axis, row) =>
    axis === 0 ? Math.floor(row / (h * w)) : axis === 1 ? Math.floor(row / w) % h : row % w;
}
