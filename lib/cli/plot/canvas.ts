import type * as Canvas from '@napi-rs/canvas';
import { readFileSync } from 'node:fs';

/** The name under which the pictures' font is known to the canvas. */
const fontFamily = 'LattePlot';

let loaded: typeof Canvas | undefined;

/**
 * The canvas with its font (Source Sans 3), which comes in a package too, so that pictures are the
 * same on a server without fonts. Both are optional dependencies: only `plot` needs them.
 * @throws Error that says what to install where they are missing.
 */
export async function loadCanvas(): Promise<typeof Canvas> {
  if (loaded !== undefined) return loaded;
  try {
    const canvas = await import('@napi-rs/canvas');
    const font =
      require.resolve('@fontsource-variable/source-sans-3/files/source-sans-3-latin-wght-normal.woff2');
    if (canvas.GlobalFonts.register(readFileSync(font), fontFamily) === null) {
      throw new Error(`${font} cannot be read`);
    }
    loaded = canvas;
    return canvas;
  } catch (cause) {
    throw new Error(
      'plot draws with two optional dependencies that are not there: ' +
        'npm install @napi-rs/canvas @fontsource-variable/source-sans-3 ' +
        `(${(cause as Error).message.split('\n')[0]})`,
      { cause },
    );
  }
}

/** Text of a size in pixels from now on, in weight 400 (regular) or 600 (semi-bold). */
export function setFont(
  context: Canvas.SKRSContext2D,
  size: number,
  weight: 400 | 600 = 400,
): void {
  context.font = `${weight} ${size}px ${fontFamily}`;
  // Not every release of the canvas takes the weight of a variable font from `font`.
  context.fontVariationSettings = `'wght' ${weight}`;
}
