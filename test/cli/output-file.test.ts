import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { lstat, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { writeComplete } from '../../lib/cli/output-file.js';
import { bin, temporaryFolders } from './run.js';

const folder = temporaryFolders();
const write = (text: string) => (path: string) => {
  writeFileSync(path, text);
  return Promise.resolve();
};

describe('a file that is written completely or not at all', () => {
  it('appears under its name only at the end', async () => {
    const place = folder();
    const path = join(place, 'out');
    await writeComplete(path, async (temporary) => {
      await write('half')(temporary);
      expect(existsSync(path)).toBe(false);
      await write('whole')(temporary);
    });
    expect(readdirSync(place)).toEqual(['out']);
    expect(readFileSync(path, 'utf8')).toBe('whole');
  });

  it('may have the longest name that there is', async () => {
    const place = folder();
    const name = 'n'.repeat(255);
    await writeComplete(join(place, name), write('whole'));
    expect(readdirSync(place)).toEqual([name]);
  });

  it('stays as it was when the writing fails', async () => {
    const place = folder();
    const path = join(place, 'out');
    writeFileSync(path, 'old');
    const failing = writeComplete(path, async (temporary) => {
      await write('half')(temporary);
      throw new Error('disk full');
    });
    await expect(failing).rejects.toThrow('disk full');
    expect(readdirSync(place)).toEqual(['out']);
    expect(readFileSync(path, 'utf8')).toBe('old');
  });

  it('replaces the file behind a symbolic link, not the link', async () => {
    const place = folder();
    mkdirSync(join(place, 'elsewhere'));
    writeFileSync(join(place, 'elsewhere', 'real'), 'old');
    symlinkSync(join('elsewhere', 'real'), join(place, 'link'));
    await writeComplete(join(place, 'link'), write('new'));
    expect((await lstat(join(place, 'link'))).isSymbolicLink()).toBe(true);
    expect(readFileSync(join(place, 'elsewhere', 'real'), 'utf8')).toBe('new');
  });

  it('gives the bytes to what is not a regular file, and leaves it there', async () => {
    const pipe = join(folder(), 'pipe');
    execFileSync('mkfifo', [pipe]);
    const read = readFile(pipe, 'utf8');
    await writeComplete(pipe, write('whole'));
    expect(await read).toBe('whole');
    expect((await lstat(pipe)).isFIFO()).toBe(true);
  });

  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('leaves nothing behind after %s', async (signal, expected) => {
    const place = folder();
    // The program is interrupted in the middle of its writing.
    const program = `
      require(${JSON.stringify(join(bin, '..', 'signals.js'))}).leaveOnSignals();
      const { writeComplete } = require(${JSON.stringify(join(bin, '..', 'output-file.js'))});
      writeComplete(${JSON.stringify(join(place, 'out'))}, async (path) => {
        require('node:fs').writeFileSync(path, 'half');
        console.log('writing');
        await new Promise((resolve) => setTimeout(resolve, 600_000));
      });`;
    const child = spawn(process.execPath, ['-e', program], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(child.stdout, 'data');
    expect(readdirSync(place)).toHaveLength(1);
    child.kill(signal);
    const [status] = (await once(child, 'close')) as [number];
    expect(status).toBe(expected);
    expect(readdirSync(place)).toEqual([]);
  });
});
