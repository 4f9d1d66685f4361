// Draws latents as a picture: a column for each frame, a row for each channel.
import { writeFile } from 'node:fs/promises';
import { PNG } from 'pngjs';
import type { LatteTensor } from './latte.js';

const gap = 4;

/** Writes [1, C, F, H, W] as a PNG: negative values blue, positive ones red, 0 white. */
export async function writePicture(path: string, latents: LatteTensor): Promise<void> {
  const [, channels, frames, height, width] = latents.shape as [
    number,
    number,
    number,
    number,
    number,
  ];
  const values = latents.data as Float32Array;
  const largest = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0) || 1;
  const scale = Math.max(1, Math.floor(96 / width));
  const stepX = width * scale + gap;
  const stepY = height * scale + gap;
  const png = new PNG({ width: frames * stepX + gap, height: channels * stepY + gap });
  png.data.fill(0x40);
  for (let offset = 3; offset < png.data.length; offset += 4) png.data[offset] = 255;
  for (let channel = 0; channel < channels; channel++) {
    for (let frame = 0; frame < frames; frame++) {
      const begin = (channel * frames + frame) * height * width;
      for (let y = 0; y < height * scale; y++) {
        for (let x = 0; x < width * scale; x++) {
          const place = begin + Math.floor(y / scale) * width + Math.floor(x / scale);
          const pixel = (gap + channel * stepY + y) * png.width + gap + frame * stepX + x;
          png.data.set(colorOf(values[place]! / largest), pixel * 4);
        }
      }
    }
  }
  await writeFile(path, PNG.sync.write(png));
}

/** Red, green and blue of a value in [−1, 1]. */
function colorOf(value: number): [number, number, number] {
  const paler = Math.round(255 * (1 - Math.abs(value)));
  return value < 0 ? [paler, paler, 255] : [255, paler, paler];
}
