/** Red, green and blue, from 0 to 255, of each step of the colour map. */
export type ColorTable = Uint8Array;

/** The number of steps. More would not be visible, because a channel has 8 bits. */
export const colorSteps = 511;

/**
 * A diverging colour map: blue for −1, near white for 0, red for 1. Each half is a straight line in
 * CIELAB, so equal differences in value look equally large, and the two ends are equally dark, so
 * that neither sign looks heavier.
 */
export async function divergingColors(): Promise<ColorTable> {
  // The d3 modules are ESM only.
  const { interpolateLab, piecewise } = await import('d3-interpolate');
  // CIELAB (33, 7, -48), (97, 0, 0) and (33, 46, 17): both ends are equally far from the middle.
  const color: (fraction: number) => string = piecewise(interpolateLab, [
    '#1a4e9c',
    '#f6f6f6',
    '#902537',
  ]);
  const table = new Uint8Array(colorSteps * 3);
  for (let i = 0; i < colorSteps; i++) {
    const [, red, green, blue] = /rgb\((\d+), (\d+), (\d+)\)/.exec(color(i / (colorSteps - 1)))!;
    table.set([Number(red), Number(green), Number(blue)], i * 3);
  }
  return table;
}

/** The step of the colour map for a value in [−1, 1]; other values get the nearest end. */
export function colorStep(value: number): number {
  const step = Math.round(((value + 1) / 2) * (colorSteps - 1));
  return Math.min(Math.max(step, 0), colorSteps - 1);
}
