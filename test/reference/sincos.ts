import { exact, type Approx } from './array.js';

const f32 = Math.fround;

/** The text of an error that the reference raises, word for word. */
export const notDivisible = 'embed_dim must be divisible by 2';

/** [sin(pos·ω) | cos(pos·ω)], ω_k = 10000^(−k/(D/2)); everything in float64. Positions of any rank are flattened. */
export function sincosFromGrid(embedDim: number, positions: ArrayLike<number>): Approx {
  if (embedDim % 2 !== 0) throw new Error(notDivisible);
  const half = embedDim / 2;
  const out = new Float64Array(positions.length * embedDim);
  for (let row = 0; row < positions.length; row++) {
    for (let k = 0; k < half; k++) {
      const angle = positions[row]! * (1 / 10000 ** (k / half));
      out[row * embedDim + k] = Math.sin(angle);
      out[row * embedDim + half + k] = Math.cos(angle);
    }
  }
  return exact([positions.length, embedDim], out);
}

/** Positions i/scale in float64. */
export function sincos1d(embedDim: number, length: number, scale = 1): Approx {
  return sincosFromGrid(
    embedDim,
    Float64Array.from({ length }, (_, i) => i / scale),
  );
}

/** The table of a grid [2, …]: each of its two planes makes half of the channels. */
export function sincos2dFromGrid(embedDim: number, grid: ArrayLike<number>): Approx {
  if (embedDim % 2 !== 0 || embedDim % 4 !== 0) throw new Error(notDivisible);
  const points = Array.from(grid);
  const rows = points.length / 2;
  const half = embedDim / 2;
  const planes = [points.slice(0, rows), points.slice(rows)].map((p) => sincosFromGrid(half, p));
  const out = new Float64Array(rows * embedDim);
  for (let row = 0; row < rows; row++) {
    planes.forEach((plane, i) =>
      out.set(plane.value.subarray(row * half, (row + 1) * half), row * embedDim + i * half),
    );
  }
  return exact([rows, embedDim], out);
}

/** The positions along one axis of a 2-D table: float32, rounded at every step. */
export function gridPositions(length: number, base: number, scale: number): number[] {
  const spacing = f32(length / base);
  return Array.from({ length }, (_, i) => f32(f32(i / spacing) / f32(scale)));
}

export interface Sincos2dOptions {
  clsToken?: boolean;
  extraTokens?: number;
  interpolationScale?: number;
  baseSize?: number;
}

/** Rows in h-major order. The first half of the channels encodes the column, the second the row. */
export function sincos2d(
  embedDim: number,
  gridSize: number | readonly [number, number],
  options: Sincos2dOptions = {},
): Approx {
  const { clsToken = false, extraTokens = 0, interpolationScale = 1, baseSize = 16 } = options;
  const [h, w] = typeof gridSize === 'number' ? [gridSize, gridSize] : gridSize;
  const rows = gridPositions(h, baseSize, interpolationScale);
  const columns = gridPositions(w, baseSize, interpolationScale);
  const x = rows.flatMap(() => columns);
  const y = rows.flatMap((row) => columns.map(() => row));
  const table = sincos2dFromGrid(embedDim, [...x, ...y]);
  if (!clsToken || extraTokens === 0) return table;
  const zeros = new Array<number>(extraTokens * embedDim).fill(0);
  return exact([extraTokens + h * w, embedDim], [...zeros, ...table.value]);
}
