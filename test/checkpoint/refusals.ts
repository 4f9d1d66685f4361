import { describe, expect, it } from 'vitest';
import { openCheckpoint } from '../../lib/index.js';
import { rejected, type Fragment } from '../support/errors.js';
import type { temporaryFolder } from './builders.js';

/** A file that must be refused, and texts that the message must contain. */
export type MalformedFile = readonly [name: string, bytes: Buffer, ...fragments: Fragment[]];

/** Tests that each file is refused with ERR_CHECKPOINT, and that the message has its path and texts. */
export function describeRefusals(
  format: string,
  extension: string,
  folder: ReturnType<typeof temporaryFolder>,
  files: readonly MalformedFile[],
): void {
  describe(`${format} is refused with`, () => {
    it.each(files.map(([name, bytes, ...fragments]) => ({ name, bytes, fragments })))(
      '$name',
      async ({ bytes, fragments }) => {
        // The file's name must not contain the case's name, which could satisfy the check of the message.
        const path = folder.write(`case.${extension}`, bytes);
        const error = await rejected(
          () => openCheckpoint(path),
          'ERR_CHECKPOINT',
          path,
          ...fragments,
        );
        expect(error.path).toBe(path);
      },
    );
  });
}
