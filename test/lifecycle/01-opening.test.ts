import { closeSync, mkdtempSync, openSync, readSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { children } from '../support/child.js';

const { run } = children();
const bare = children({ addon: false });

describe('opening the library', () => {
  it('takes no threads and no memory to speak of, and lets the process end by itself', async () => {
    const ended = await run('test/lifecycle/fixtures/open-only');
    expect(ended).toMatchObject({ status: 0, stderr: '' });
    const { live, threadsBefore, threadsAfter } = JSON.parse(ended.stdout) as Record<
      string,
      number
    >;
    expect(live).toBe(0);
    expect(threadsAfter).toBe(threadsBefore);
  });

  it('works from a preloaded module, twice, and under another name', async () => {
    const ended = await run('test/lifecycle/fixtures/open-twice');
    expect(ended).toMatchObject({ status: 0, stderr: '', stdout: 'same bits' });
  });

  it('without its addon explains what was tried and what to do', async () => {
    const ended = await bare.run('test/lifecycle/fixtures/print-devices', {
      env: { LATTE_ADDON: '' },
    });
    expect(ended.status).toBe(1);
    expect(ended.stderr).toContain('could not load its native addon');
    expect(ended.stderr).toMatch(/build[/\\]Release[/\\]latte_embeddings\.node/);
    expect(ended.stderr).toContain('npx latte-embeddings build');
  });

  it.each(['/nonexistent', __filename])('LATTE_ADDON=%s is refused by name', async (named) => {
    const ended = await run('test/lifecycle/fixtures/print-devices', {
      env: { LATTE_ADDON: named },
    });
    expect([ended.status, ended.stdout]).toEqual([1, '']);
    expect(ended.stderr).toContain("code: 'ERR_VALUE'");
    expect(ended.stderr).toContain('LATTE_ADDON must name a build of the addon');
    expect(ended.stderr).toContain(named);
  });
});

// The dynamic linker maps a truncated file; the process would then end by SIGBUS.
describe('a damaged file of the addon', () => {
  const folder = mkdtempSync(join(tmpdir(), 'latte-opening-'));
  const named = join(folder, 'latte.node');
  /** The beginning of a shared object for this processor. */
  const begin = Buffer.alloc(65536);

  beforeAll(() => {
    const program = openSync(process.execPath, 'r');
    readSync(program, begin, 0, begin.length, 0);
    closeSync(program);
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it.each([
    ['its end is missing', begin, /cut off: the file has 65536 bytes of \d+/],
    ['all but a few bytes are missing', begin.subarray(0, 40), /cut off: the file has 40 bytes;/],
    ['it is empty', begin.subarray(0, 0), /not a shared library/],
    ['it is for another processor', undefined, /for another processor, not for/],
  ])('is refused before it is loaded: %s', async (_, bytes, message) => {
    const other = Buffer.from(begin);
    other.writeUInt16LE(8, 18); // MIPS
    // A file without section headers is not taken for a truncated one.
    other.writeUInt16LE(0, 60);
    other.writeBigUInt64LE(0n, 40);
    writeFileSync(named, bytes ?? other);
    const ended = await run('test/lifecycle/fixtures/print-devices', {
      env: { LATTE_ADDON: named },
    });
    expect([ended.status, ended.stdout]).toEqual([1, '']);
    expect(ended.stderr).toContain("code: 'ERR_VALUE'");
    expect(ended.stderr).toMatch(message);
  });
});
