import type * as Canvas from '@napi-rs/canvas';
import type { Picture } from './heat-map.js';

/**
 * Draws a picture as a PNG file with `@napi-rs/canvas`, an optional peer of this package.
 * @param draw draws the picture with a font.
 * @param load imports the package; tests pass another function.
 * @throws Error if the package or a font is missing; the message names what to install.
 */
export async function drawPng(
  draw: (fontFamily: string) => Picture,
  load = (): Promise<typeof Canvas> => import('@napi-rs/canvas'),
): Promise<Buffer> {
  let canvas: typeof Canvas;
  try {
    canvas = await load();
  } catch (cause) {
    const reason = (cause as Error).message.split('\n')[0];
    throw new Error(
      `-o: a .png needs the optional package @napi-rs/canvas: npm install @napi-rs/canvas, or name an .svg (${reason})`,
      { cause },
    );
  }
  const { createCanvas, GlobalFonts, loadImage } = canvas;
  const families = GlobalFonts.families.map(({ family }) => family);
  const family = families.find((name) => /sans(?!.*mono)/i.test(name)) ?? families[0];
  if (family === undefined) {
    throw new Error('-o: a .png needs a font, and this system has none; name an .svg');
  }
  const { svg, width, height, cells } = draw(family);
  const surface = createCanvas(width, height);
  const context = surface.getContext('2d');
  context.drawImage(await loadImage(Buffer.from(svg)), 0, 0);
  // The canvas does not draw images within an SVG.
  context.drawImage(await loadImage(cells.png), cells.x, cells.y);
  return surface.toBuffer('image/png');
}
