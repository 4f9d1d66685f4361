import { colorStep, colorSteps, type ColorTable } from './colors.js';
import { encodePng } from './png.js';

/** A table of values in [−1, 1], with its title and labels. */
export interface HeatMap {
  title: string;
  /** A second, smaller line under the title. */
  subtitle: string;
  rows: number;
  columns: number;
  /** rows × columns values, row by row. */
  values: ArrayLike<number>;
  xLabel: string;
  yLabel: string;
  /** The names of equally wide ranges of columns, which are written above the map. */
  bands: readonly string[];
  /** The text of a tick of the y axis. Default: the row's number. */
  rowLabel?: (row: number) => string;
  /** Ticks of the y axis are multiples of this number, or of its halves or doubles. */
  rowUnit?: number;
}

/** A picture, and the position of its cells. */
export interface Picture {
  svg: string;
  /** In pixels, like all lengths in this file. */
  width: number;
  height: number;
  /** The cells alone, as a PNG file. */
  cells: { png: Buffer; x: number; y: number };
}

const target = { width: 1100, height: 720 };
const largest = { cell: 40, side: 1600 };
const margin = { left: 130, top: 150, right: 170, bottom: 100 };
/** The colour of NaN. */
const missing = [128, 128, 128];
/** The width of a letter relative to the font's size; an upper bound for common fonts. */
const letterWidth = 0.58;

// Browsers in dark mode show a dark picture; viewers that ignore style sheets show a light one.
const style =
  '@media (prefers-color-scheme: dark) { .paper { fill: #1b1b1b } .ink { fill: #eeeeee } ' +
  '.faint { fill: #b4b4b4 } .line { stroke: #9a9a9a } }';

/**
 * Draws a table as a heat map with title, axes, ticks and a colour bar.
 *
 * A cell is a whole number of pixels wide and high. Tables of more than 1600 rows or columns are averaged
 * down to 1600.
 * @param fontFamily the font of all text, as a CSS font-family.
 */
export function drawHeatMap(map: HeatMap, colors: ColorTable, fontFamily: string): Picture {
  const cells = averaged(map, largest.side);
  const width = sideLength(map.columns, target.width);
  const height = sideLength(map.rows, target.height);
  const letters = Math.max(map.title.length * 30, map.subtitle.length * 22) * letterWidth;
  const size = {
    width: margin.left + Math.max(width + margin.right, Math.ceil(letters) + 20, 730),
    height: margin.top + Math.max(height, 200) + margin.bottom,
  };
  const png = paint(cells, width, height, colors);
  const svg = [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${size.width}" height="${size.height}"`,
    ` viewBox="0 0 ${size.width} ${size.height}" font-family="${escape(fontFamily)}" font-size="20">`,
    `<title>${escape(map.title)}</title><style>${style}</style>`,
    `<rect class="paper" width="${size.width}" height="${size.height}" fill="#ffffff"/>`,
    label(map.title, margin.left, 52, { size: 30, weight: 600 }),
    label(map.subtitle, margin.left, 84, { size: 22, kind: 'faint' }),
    `<g transform="translate(${margin.left} ${margin.top})">`,
    `<image width="${width}" height="${height}" preserveAspectRatio="none"`,
    ' style="image-rendering: pixelated"',
    ` href="data:image/png;base64,${png.toString('base64')}"/>`,
    frame(width, height),
    columnAxis(map, width, height),
    rowAxis(map, height),
    colorBar(colors, width + 40, Math.max(height, 200)),
    '</g></svg>\n',
  ].join('');
  return { svg, ...size, cells: { png, x: margin.left, y: margin.top } };
}

/** The length of a side of the map with `count` cells. */
function sideLength(count: number, wanted: number): number {
  const cell = Math.min(Math.max(Math.floor(wanted / count), 1), largest.cell);
  return Math.min(count * cell, largest.side);
}

interface Table {
  rows: number;
  columns: number;
  values: ArrayLike<number>;
}

/** Reduces a table to at most `most` rows and columns, by the means of neighbouring values. */
function averaged(table: Table, most: number): Table {
  const rows = Math.min(table.rows, most);
  const columns = Math.min(table.columns, most);
  if (rows === table.rows && columns === table.columns) return table;
  const sums = new Float64Array(rows * columns);
  const counts = new Uint32Array(rows * columns);
  for (let row = 0; row < table.rows; row++) {
    const begin = Math.floor((row * rows) / table.rows) * columns;
    for (let column = 0; column < table.columns; column++) {
      const at = begin + Math.floor((column * columns) / table.columns);
      sums[at]! += table.values[row * table.columns + column]!;
      counts[at]!++;
    }
  }
  return { rows, columns, values: sums.map((sum, i) => sum / counts[i]!) };
}

/** The cells as a PNG in the size in which they are shown, because some viewers blur enlarged images. */
function paint(table: Table, width: number, height: number, colors: ColorTable): Buffer {
  const { rows, columns, values } = table;
  const pixels = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++) {
    const row = Math.floor((y * rows) / height);
    for (let x = 0; x < width; x++) {
      const value = values[row * columns + Math.floor((x * columns) / width)]!;
      const step = colorStep(value) * 3;
      const color = Number.isNaN(value) ? missing : colors.subarray(step, step + 3);
      pixels.set(color, (y * width + x) * 3);
    }
  }
  return encodePng(width, height, pixels);
}

function columnAxis(map: HeatMap, width: number, height: number): string {
  const bandWidth = width / map.bands.length;
  const bands = map.bands.map(
    (name, i) =>
      label(name, (i + 0.5) * bandWidth, -20, { anchor: 'middle' }) +
      line(i * bandWidth + 3, -10, (i + 1) * bandWidth - 3, -10),
  );
  const scale = width / map.columns;
  const bandColumns = map.columns / map.bands.length;
  const unit = Number.isInteger(bandColumns) ? bandColumns : undefined;
  const marks = ticks(map.columns, scale, 60, unit).map((column) => {
    const x = (column + 0.5) * scale;
    return (
      line(x, height, x, height + 7) + label(String(column), x, height + 27, { anchor: 'middle' })
    );
  });
  const name = label(map.xLabel, width / 2, height + 64, { size: 22, anchor: 'middle' });
  return [...bands, ...marks, name].join('');
}

function rowAxis(map: HeatMap, height: number): string {
  const scale = height / map.rows;
  const marks = ticks(map.rows, scale, 30, map.rowUnit).map((row) => {
    const y = (row + 0.5) * scale;
    const text = map.rowLabel?.(row) ?? String(row);
    return line(-7, y, 0, y) + label(text, -12, y + middle, { anchor: 'end' });
  });
  const name = label(map.yLabel, 0, middle, { size: 22, anchor: 'middle' });
  return `${marks.join('')}<g transform="translate(-98 ${height / 2}) rotate(-90)">${name}</g>`;
}

function colorBar(colors: ColorTable, left: number, height: number): string {
  const width = 26;
  const stops = Array.from({ length: 33 }, (_, i) => {
    const step = Math.round((1 - i / 32) * (colorSteps - 1)) * 3;
    const color = colors.subarray(step, step + 3).join(',');
    return `<stop offset="${i / 32}" stop-color="rgb(${color})"/>`;
  });
  const marks = [1, 0.5, 0, -0.5, -1].map((value) => {
    const y = ((1 - value) / 2) * height;
    // A true minus sign, as wide as the digits.
    const text = value.toFixed(1).replace('-', '\u2212');
    return line(width, y, width + 7, y) + label(text, width + 12, y + middle);
  });
  return [
    `<linearGradient id="values" x1="0" y1="0" x2="0" y2="1">${stops.join('')}</linearGradient>`,
    `<g transform="translate(${left} 0)">`,
    `<rect width="${width}" height="${height}" fill="url(#values)"/>`,
    frame(width, height),
    ...marks,
    label('value', 0, -22),
    '</g>',
  ].join('');
}

/**
 * The numbers of the cells that get a tick, at least `spacing` pixels apart: multiples of 1, 2 or 5 times
 * a power of ten, or of `unit`, halved or doubled.
 */
export function ticks(count: number, scale: number, spacing: number, unit?: number): number[] {
  let step: number;
  if (unit === undefined) {
    const least = Math.max(spacing / scale, 1);
    const power = 10 ** Math.floor(Math.log10(least));
    step = [1, 2, 5, 10].map((factor) => factor * power).find((value) => value >= least)!;
  } else {
    step = unit;
    while (step % 2 === 0 && (step / 2) * scale >= spacing) step /= 2;
    while (step * scale < spacing) step *= 2;
  }
  const found: number[] = [];
  for (let at = 0; at < count; at += step) found.push(at);
  return found;
}

/** The distance from the middle of a line of text down to its baseline, at the usual size. */
const middle = 7;

interface LabelOptions {
  size?: number;
  weight?: number;
  kind?: 'ink' | 'faint';
  anchor?: 'start' | 'middle' | 'end';
}

/** Text at a point; `anchor` is the part of the text's baseline that is at the point. */
function label(text: string, x: number, y: number, options: LabelOptions = {}): string {
  const { size = 20, weight = 400, kind = 'ink', anchor = 'start' } = options;
  const fill = kind === 'ink' ? '#222222' : '#666666';
  return (
    `<text class="${kind}" x="${x}" y="${y}" font-size="${size}" font-weight="${weight}"` +
    ` text-anchor="${anchor}" fill="${fill}">${escape(text)}</text>`
  );
}

function line(x1: number, y1: number, x2: number, y2: number): string {
  return `<line class="line" x1="${x1}" y1="${y1}" x2="${x2}" y2="${y2}" stroke="#666666" stroke-width="1.5"/>`;
}

/** A hairline just outside a rectangle, so that it hides no value. */
function frame(width: number, height: number): string {
  return (
    `<rect class="line" x="-0.5" y="-0.5" width="${width + 1}" height="${height + 1}"` +
    ' fill="none" stroke="#666666"/>'
  );
}

function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
}
