import type { Canvas, SKRSContext2D } from '@napi-rs/canvas';
import { colorStep, colorSteps, divergingColors, type ColorTable } from './colors.js';
import { loadCanvas, setFont } from './canvas.js';

/** A table of values in [−1, 1] and what to write around it. */
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
  /** Ranges of columns that are named above the map, all of the same width. */
  bands: readonly string[];
  /** What a tick of the y axis says; the row's number when left out. */
  rowLabel?: (row: number) => string;
  /** Ticks of the y axis lie at multiples of this where it is given. */
  rowUnit?: number;
}

// Lengths are in pixels of the picture.
const target = { width: 1100, height: 720 };
const largest = { cell: 40, side: 1600 };
const margin = { left: 130, top: 150, right: 170, bottom: 100 };
const ink = '#222222';
const faint = '#666666';

/**
 * Draws a table as a heat map with title, axes, ticks and a colour bar.
 *
 * A cell of the table is a whole number of pixels where the table fits; larger tables are averaged
 * down to at most 1600 pixels a side.
 * @returns the bytes of a PNG file.
 */
export async function drawHeatMap(map: HeatMap): Promise<Buffer> {
  const { createCanvas } = await loadCanvas();
  const colors = await divergingColors();
  const width = sideLength(map.columns, target.width);
  const height = sideLength(map.rows, target.height);
  const canvas = createCanvas(
    margin.left + Math.max(width, 560) + margin.right,
    margin.top + Math.max(height, 200) + margin.bottom,
  );
  const context = canvas.getContext('2d');
  context.fillStyle = '#ffffff';
  context.fillRect(0, 0, canvas.width, canvas.height);
  drawTitle(context, map);

  context.translate(margin.left, margin.top);
  const cells = createCanvas(map.columns, map.rows);
  paintCells(cells, map, colors);
  const enlarged = width >= map.columns && height >= map.rows;
  context.imageSmoothingEnabled = !enlarged;
  context.imageSmoothingQuality = 'high';
  context.drawImage(cells, 0, 0, width, height);
  frame(context, 0, 0, width, height);
  drawColumnAxis(context, map, width, height);
  drawRowAxis(context, map, height);
  drawColorBar(context, colors, width + 40, Math.max(height, 200));
  return canvas.toBuffer('image/png');
}

/** The length of a side of the map that has `count` cells. */
function sideLength(count: number, wanted: number): number {
  const cell = Math.min(Math.max(Math.floor(wanted / count), 1), largest.cell);
  return Math.min(count * cell, largest.side);
}

function paintCells(canvas: Canvas, map: HeatMap, colors: ColorTable): void {
  const context = canvas.getContext('2d');
  const image = context.createImageData(map.columns, map.rows);
  for (let i = 0; i < map.rows * map.columns; i++) {
    const value = map.values[i]!;
    if (Number.isNaN(value)) {
      image.data.set([128, 128, 128, 255], i * 4);
      continue;
    }
    const step = colorStep(value) * 3;
    image.data.set([colors[step]!, colors[step + 1]!, colors[step + 2]!, 255], i * 4);
  }
  context.putImageData(image, 0, 0);
}

function drawTitle(context: SKRSContext2D, map: HeatMap): void {
  context.textBaseline = 'alphabetic';
  context.textAlign = 'left';
  context.fillStyle = ink;
  setFont(context, 30, 600);
  context.fillText(map.title, margin.left, 52);
  context.fillStyle = faint;
  setFont(context, 22);
  context.fillText(map.subtitle, margin.left, 84);
}

function drawColumnAxis(context: SKRSContext2D, map: HeatMap, width: number, height: number): void {
  const bandColumns = map.columns / map.bands.length;
  text(context, 'center', 'alphabetic');
  map.bands.forEach((name, i) => {
    const left = (i * width) / map.bands.length;
    const right = ((i + 1) * width) / map.bands.length;
    context.fillStyle = ink;
    context.fillText(name, (left + right) / 2, -20);
    line(context, left + 3, -10, right - 3, -10);
  });
  const scale = width / map.columns;
  const unit = Number.isInteger(bandColumns) ? bandColumns : undefined;
  text(context, 'center', 'top');
  for (const column of ticks(map.columns, scale, 60, unit)) {
    const x = (column + 0.5) * scale;
    line(context, x, height, x, height + 7);
    context.fillText(String(column), x, height + 11);
  }
  setFont(context, 22);
  context.fillText(map.xLabel, width / 2, height + 48);
}

function drawRowAxis(context: SKRSContext2D, map: HeatMap, height: number): void {
  const scale = height / map.rows;
  text(context, 'right', 'middle');
  for (const row of ticks(map.rows, scale, 30, map.rowUnit)) {
    const y = (row + 0.5) * scale;
    line(context, -7, y, 0, y);
    context.fillText(map.rowLabel?.(row) ?? String(row), -12, y);
  }
  context.save();
  context.translate(-98, height / 2);
  context.rotate(-Math.PI / 2);
  text(context, 'center', 'middle');
  setFont(context, 22);
  context.fillText(map.yLabel, 0, 0);
  context.restore();
}

function drawColorBar(
  context: SKRSContext2D,
  colors: ColorTable,
  left: number,
  height: number,
): void {
  const width = 26;
  for (let y = 0; y < height; y++) {
    const step = Math.round((1 - (y + 0.5) / height) * (colorSteps - 1)) * 3;
    context.fillStyle = `rgb(${colors[step]},${colors[step + 1]},${colors[step + 2]})`;
    context.fillRect(left, y, width, 1);
  }
  frame(context, left, 0, width, height);
  text(context, 'left', 'middle');
  for (const value of [1, 0.5, 0, -0.5, -1]) {
    const y = ((1 - value) / 2) * height;
    line(context, left + width, y, left + width + 7, y);
    // A true minus sign, as wide as the digits.
    context.fillText(value.toFixed(1).replace('-', '\u2212'), left + width + 12, y);
  }
  text(context, 'left', 'alphabetic');
  context.fillText('value', left, -22);
}

/**
 * The cells that get a tick, at least `spacing` pixels apart: multiples of 1, 2 or 5 times a power of
 * ten, or of `unit` halved or doubled.
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

function text(
  context: SKRSContext2D,
  align: 'left' | 'center' | 'right',
  baseline: 'alphabetic' | 'middle' | 'top',
): void {
  setFont(context, 20);
  context.fillStyle = ink;
  context.textAlign = align;
  context.textBaseline = baseline;
}

function line(context: SKRSContext2D, x0: number, y0: number, x1: number, y1: number): void {
  context.strokeStyle = faint;
  context.lineWidth = 1.5;
  context.beginPath();
  context.moveTo(x0, y0);
  context.lineTo(x1, y1);
  context.stroke();
}

/** A hairline just outside a rectangle, so that it hides no value. */
function frame(
  context: SKRSContext2D,
  left: number,
  top: number,
  width: number,
  height: number,
): void {
  context.strokeStyle = faint;
  context.lineWidth = 1;
  context.strokeRect(left - 0.5, top - 0.5, width + 1, height + 1);
}
