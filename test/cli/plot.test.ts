import * as canvas from '@napi-rs/canvas';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { drawPng } from '../../lib/cli/plot/canvas.js';
import { colorStep, colorSteps, divergingColors } from '../../lib/cli/plot/colors.js';
import { drawHeatMap, ticks, type HeatMap } from '../../lib/cli/plot/heat-map.js';
import { run, temporaryFolders } from './run.js';

const { createCanvas, loadImage } = canvas;
const folder = temporaryFolders();

interface Picture {
  width: number;
  height: number;
  /** The red, green and blue of a pixel. */
  at: (x: number, y: number) => number[];
}

async function decode(png: Buffer): Promise<Picture> {
  const image = await loadImage(png);
  const { width, height } = image;
  const context = createCanvas(width, height).getContext('2d');
  context.drawImage(image, 0, 0);
  const { data } = context.getImageData(0, 0, width, height);
  return {
    width,
    height,
    at: (x, y) => [...data.subarray((y * width + x) * 4, (y * width + x) * 4 + 3)],
  };
}

/** The file that `plot` writes. */
async function plotFile(name: string, args: string[]): Promise<Buffer> {
  const path = join(folder(), name);
  const { status, stdout, stderr } = await run(['plot', ...args, '-o', path]);
  expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: `${path}\n`, stderr: '' });
  return readFileSync(path);
}

/** The cells of an SVG file that `plot` wrote. */
async function plot(...args: string[]): Promise<Picture> {
  const svg = (await plotFile('plot.svg', args)).toString('utf8');
  return decode(cellsOf(svg));
}

function cellsOf(svg: string): Buffer {
  return Buffer.from(/href="data:image\/png;base64,([^"]+)"/.exec(svg)![1]!, 'base64');
}

// The map's upper left corner.
const [left, top] = [130, 150];

const draw = async (map: HeatMap) => drawHeatMap(map, await divergingColors(), 'sans-serif');
const empty = { title: '', subtitle: '', xLabel: '', yLabel: '', bands: [] };

/** The colour of a value, by the map's own table. */
const colorOf = async (value: number): Promise<number[]> => {
  const table = await divergingColors();
  const step = colorStep(value) * 3;
  return [...table.subarray(step, step + 3)];
};

describe('the colour map', () => {
  it('goes from blue over near white to red, evenly', async () => {
    const [low, middle, high] = [await colorOf(-1), await colorOf(0), await colorOf(1)];
    expect(low[2]).toBeGreaterThan(low[0]! + 100);
    expect(high[0]).toBeGreaterThan(high[2]! + 80);
    expect(Math.min(...middle)).toBeGreaterThan(240);
    // For the eye, both ends are equally far from the middle (CIELAB).
    const { lab } = (await import('d3-color')) as {
      lab: (color: string) => { l: number; a: number; b: number };
    };
    const toLab = ([r, g, b]: number[]) => lab(`rgb(${r},${g},${b})`);
    const far = (a: number[], b: number[]) => {
      const [x, y] = [toLab(a), toLab(b)];
      return Math.hypot(x.l - y.l, x.a - y.a, x.b - y.b);
    };
    expect(Math.abs(far(low, middle) / far(high, middle) - 1)).toBeLessThan(0.02);
    // A quarter of the map is half as far from the middle.
    expect(Math.abs(far(await colorOf(0.5), middle) / far(high, middle) - 0.5)).toBeLessThan(0.02);
  });

  it('clamps values outside', () => {
    expect([-2, -1, 0, 1, 2].map(colorStep)).toEqual([
      0,
      0,
      (colorSteps - 1) / 2,
      colorSteps - 1,
      colorSteps - 1,
    ]);
  });
});

describe('ticks', () => {
  it('are a readable distance apart, at round numbers or multiples of a unit', () => {
    expect(ticks(1000, 1, 150)).toEqual([0, 200, 400, 600, 800]);
    expect(ticks(5, 40, 30)).toEqual([0, 1, 2, 3, 4]);
    expect(ticks(64, 17, 60, 16)).toEqual(Array.from({ length: 16 }, (_, i) => 4 * i));
    expect(ticks(1024, 1, 30, 32)).toEqual(Array.from({ length: 32 }, (_, i) => 32 * i));
    expect(ticks(9, 1, 5, 3)).toEqual([0, 6]);
  });
});

describe('a heat map', () => {
  it('paints every cell in the colour of its value', async () => {
    const values = [-1, -0.25, 0, 0.5, 1, NaN];
    const { cells } = await draw({ ...empty, rows: 2, columns: 3, values });
    const picture = await decode(cells.png);
    expect([picture.width, picture.height]).toEqual([120, 80]);
    for (const [i, value] of values.entries()) {
      const [row, column] = [Math.floor(i / 3), i % 3];
      const color = Number.isNaN(value) ? [128, 128, 128] : await colorOf(value);
      expect(picture.at(column * 40 + 20, row * 40 + 20)).toEqual(color);
    }
  });

  it('shows those cells, at their own size', async () => {
    const { svg, cells } = await draw({
      ...empty,
      rows: 2,
      columns: 3,
      values: [0, 0, 0, 0, 0, 0],
    });
    expect(svg).toContain(
      `<g transform="translate(${left} ${top})"><image width="120" height="80"`,
    );
    expect(cellsOf(svg)).toEqual(cells.png);
  });

  it('has a colour bar from 1 at the top to -1 at the bottom', async () => {
    const { svg } = await draw({ ...empty, rows: 1, columns: 1, values: [0] });
    const stops = [...svg.matchAll(/<stop offset="([^"]+)" stop-color="rgb\(([^)]+)\)"/g)];
    expect(stops.length).toBeGreaterThan(20);
    for (const [, offset, color] of stops) {
      expect(color!.split(',').map(Number)).toEqual(await colorOf(1 - 2 * Number(offset)));
    }
    expect([...svg.matchAll(/>([\u2212\d.]+)<\/text>/g)].map(([, text]) => text)).toEqual([
      '0',
      '0',
      '1.0',
      '0.5',
      '0.0',
      '\u22120.5',
      '\u22121.0',
    ]);
  });

  it('names itself, its axes, its bands and its rows, whatever the letters', async () => {
    const { svg } = await draw({
      title: 'A < "B" & C',
      subtitle: 'two rows',
      xLabel: 'channel',
      yLabel: 'frame',
      bands: ['sin', 'cos'],
      rows: 2,
      columns: 4,
      values: new Float32Array(8),
      rowLabel: (row) => `row ${row}`,
    });
    const texts = [...svg.matchAll(/<text [^>]*>([^<]*)<\/text>/g)].map(([, text]) => text);
    expect(texts).toEqual(expect.arrayContaining(['two rows', 'sin', 'cos', 'row 0', 'row 1']));
    expect(texts).toEqual(
      expect.arrayContaining(['A &lt; &quot;B&quot; &amp; C', 'channel', 'frame']),
    );
  });

  it('is wide enough for its title', async () => {
    const width = async (title: string) =>
      (await draw({ ...empty, title, rows: 1, columns: 1, values: [0] })).width;
    expect(await width('')).toBe(left + 730);
    expect(await width('W'.repeat(100))).toBeGreaterThan(left + 1500);
  });

  it('has other colours on a dark page', async () => {
    const { svg } = await draw({ ...empty, rows: 1, columns: 1, values: [0] });
    const dark = /@media \(prefers-color-scheme: dark\) \{ (.*) \}<\/style>/.exec(svg)![1]!;
    for (const [, kind] of svg.matchAll(/class="(\w+)"/g)) expect(dark).toContain(`.${kind} {`);
  });

  it('averages tables down that are larger than a picture', async () => {
    const values = Float32Array.from({ length: 4800 }, (_, i) => [0, 0.5, 1][i % 3]!);
    const { width, cells } = await draw({ ...empty, rows: 1, columns: 4800, values });
    expect(width).toBeLessThan(2000);
    const picture = await decode(cells.png);
    expect(picture.width).toBe(1600);
    expect(picture.at(800, 20)).toEqual(await colorOf(0.5));
  });
});

describe('a PNG', () => {
  it('is the same picture, drawn by the canvas', async () => {
    const args = ['pos-embed', '--embed-dim', '8', '--length', '4'];
    const png = await plotFile('plot.PNG', args);
    expect(png.subarray(0, 8).toString('latin1')).toBe('\x89PNG\r\n\x1a\n');
    const picture = await decode(png);
    expect(picture.at(left + 20, top + 2 * 40 + 20)).toEqual(await colorOf(Math.sin(2)));
    expect(picture.at(5, 5)).toEqual([255, 255, 255]);
    let dark = 0;
    for (let y = 25; y < 62; y++)
      for (let x = left; x < picture.width; x++) if (picture.at(x, y)[0]! < 128) dark++;
    expect(dark).toBeGreaterThan(500);
  });

  it('names what to install if the canvas, or any font, is missing', async () => {
    const never = () => expect.unreachable();
    const missing = () => Promise.reject(new Error("Cannot find module '@napi-rs/canvas'\nmore"));
    await expect(drawPng(never, missing)).rejects.toThrow(
      /npm install @napi-rs\/canvas, or name an \.svg \(Cannot find module '@napi-rs\/canvas'\)$/,
    );
    const bare = { ...canvas, GlobalFonts: { families: [] } } as unknown as typeof canvas;
    await expect(drawPng(never, () => Promise.resolve(bare))).rejects.toThrow(/no.* name an \.svg/);
  });
});

describe('plot', () => {
  it('pos-embed draws the table of a frame: columns first, then rows, sine before cosine', async () => {
    const picture = await plot('pos-embed', '--embed-dim', '64', '--grid', '16x16');
    // Cells of 17 x 2 pixels.
    const cell = (token: number, channel: number) => picture.at(channel * 17 + 8, token * 2 + 1);
    for (const [token, channel, value] of [
      [0, 0, 0],
      [0, 16, 1],
      [3, 0, Math.sin(3)],
      [3, 16, Math.cos(3)],
      [16 * 5, 0, 0],
      [16 * 5, 32, Math.sin(5)],
      [16 * 5 + 9, 48, Math.cos(5)],
      [16 * 5 + 9, 16, Math.cos(9)],
    ] as const) {
      expect(cell(token, channel), `token ${token}, channel ${channel}`).toEqual(
        await colorOf(value),
      );
    }
  });

  it('pos-embed --length draws the table of a video', async () => {
    const picture = await plot(
      'pos-embed',
      '--embed-dim',
      '8',
      '--length',
      '4',
      '--interpolation-scale',
      '2',
    );
    const cell = (frame: number, channel: number) => picture.at(channel * 40 + 20, frame * 40 + 20);
    expect(cell(3, 0)).toEqual(await colorOf(Math.sin(1.5)));
    expect(cell(3, 4)).toEqual(await colorOf(Math.cos(1.5)));
  });

  it('timesteps draws cosine before sine, for the timesteps that are asked for', async () => {
    const picture = await plot('timesteps', '--num-channels', '8', '--timesteps', '5,-2.5');
    const cell = (row: number, channel: number) => picture.at(channel * 40 + 20, row * 40 + 20);
    expect(cell(0, 0)).toEqual(await colorOf(Math.cos(5)));
    expect(cell(0, 4)).toEqual(await colorOf(Math.sin(5)));
    expect(cell(1, 4)).toEqual(await colorOf(Math.sin(-2.5)));
  });

  it('timesteps draws all of 0 to 999 unless told otherwise', async () => {
    const picture = await plot('timesteps');
    expect(picture.height).toBe(1000);
    expect(picture.at(4 * 128 + 2, 2)).toEqual(await colorOf(Math.sin(2)));
  });

  it('takes an odd number of channels, whose last column is zero', async () => {
    const picture = await plot('timesteps', '--num-channels', '7', '--steps', '2');
    expect(picture.at(6 * 40 + 20, 20)).toEqual(await colorOf(0));
  });

  it.each([
    [
      ['pos-embed', '--embed-dim', '62', '--grid', '4'],
      /--embed-dim must be divisible by 4 .* but is 62 \[ERR_VALUE\]/,
    ],
    [['pos-embed', '--embed-dim', '62'], /--embed-dim must be divisible by 4/],
    [
      ['pos-embed', '--embed-dim', '7', '--length', '4'],
      /--embed-dim must be divisible by 2 .* but is 7 \[ERR_VALUE\]/,
    ],
    [['pos-embed', '--embed-dim', '4096', '--grid', '4096x4096'], /too large for a picture/],
  ])('%j fails and leaves no file', async (args, message) => {
    const place = folder();
    const { status, stderr } = await run(['plot', ...args, '-o', join(place, 'x.svg')]);
    expect(stderr).toMatch(message);
    expect(status).toBe(1);
    expect(readdirSync(place)).toEqual([]);
  });
});
