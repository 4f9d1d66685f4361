import { spawnSync, type SpawnSyncReturns } from 'node:child_process';
import {
  copyFileSync,
  cpSync,
  linkSync,
  openSync,
  closeSync,
  readFileSync,
  readdirSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { bin, expectedFile, latteFolder, run, temporaryFolders } from './run.js';

const folder = temporaryFolders();
const random = ['embed', '--checkpoint', latteFolder, '--caption', 'random:1,4', '--steps', '1'];
const oneLine = /^latte-embeddings: .+\n$/;

/** Runs a command whose standard output is a file or a device. */
function runInto(path: string, args: string[]): SpawnSyncReturns<string> {
  const out = openSync(path, 'w');
  try {
    return spawnSync(process.execPath, [bin, ...args], {
      env: { ...process.env, LATTE_DEBUG: '', NODE_OPTIONS: '' },
      stdio: ['ignore', out, 'pipe'],
      encoding: 'utf8',
    });
  } finally {
    closeSync(out);
  }
}

describe('embed refuses to write onto what it reads', () => {
  it('the input itself, a link to it, the checkpoint and its config', async () => {
    const place = folder();
    const caption = join(place, 'caption.safetensors');
    copyFileSync(expectedFile('latte'), caption);
    const checkpoint = join(place, 'checkpoint');
    cpSync(latteFolder, checkpoint, { recursive: true });
    const weights = readdirSync(checkpoint).find((name) => name.endsWith('.safetensors'))!;
    symlinkSync('caption.safetensors', join(place, 'link'));
    linkSync(caption, join(place, 'hard'));
    symlinkSync(join('checkpoint', weights), join(place, 'weights'));
    const before = readFileSync(caption);
    const args = ['embed', '--checkpoint', checkpoint, '--caption', caption];
    for (const name of [
      ...['caption.safetensors', 'checkpoint/../caption.safetensors', 'link', 'hard'],
      ...['weights', `checkpoint/${weights}`, 'checkpoint/config.json'],
    ]) {
      const { status, stderr } = await run([...args, '-o', join(place, name)]);
      expect(stderr, name).toMatch(oneLine);
      expect(stderr, name).toContain('which is read; name another file');
      expect(status).toBe(1);
    }
    expect(readFileSync(caption)).toEqual(before);
    expect(statSync(join(checkpoint, weights)).size).toBe(
      statSync(join(latteFolder, weights)).size,
    );
    // Another file in the checkpoint's folder may be overwritten.
    const other = join(checkpoint, 'conditions.safetensors');
    for (const _ of [1, 2]) expect((await run([...args, '-o', other])).status).toBe(0);
  });
});

describe('an output that cannot be written is refused with one line', () => {
  it.each([
    ['', 'the name of a file is needed'],
    ['missing/x', 'there is no folder'],
    ['file/x', 'is no folder'],
    ['.', 'is a folder'],
    ['new/', 'is a folder'],
  ])('-o %j', async (name, message) => {
    const place = folder();
    writeFileSync(join(place, 'file'), '');
    const output = name === '' ? '' : `${place}/${name}`;
    for (const args of [random, ['plot', 'timesteps']]) {
      const { status, stdout, stderr } = await run([...args, '-o', output]);
      expect(stderr).toMatch(oneLine);
      expect(stderr).toContain(message);
      expect([status, stdout]).toEqual([1, '']);
    }
    expect(readdirSync(place)).toEqual(['file']);
  });

  it.each(['npz', 'npy', 'ckpt', 'pt', 'pth', 'bin', 'NPZ'])(
    'the ending of another format of tensors: .%s',
    async (ending) => {
      const place = folder();
      const { status, stdout, stderr } = await run([...random, '-o', join(place, `x.${ending}`)]);
      expect(stderr).toMatch(oneLine);
      expect(stderr).toMatch(
        /embed writes a \.safetensors file, but .* ends with \.\w+ \[ERR_VALUE\]$/m,
      );
      expect([status, stdout, readdirSync(place)]).toEqual([1, '', []]);
    },
  );

  it('a full device', async () => {
    const { status, stderr } = await run([...random, '-o', '/dev/full']);
    expect(stderr).toMatch(/^latte-embeddings: -o: \/dev\/full cannot be written: ENOSPC.*\n$/);
    expect(status).toBe(1);
  });

  // Instead of a full disk: the system refuses writes beyond a limit of the file's size.
  it('a disk that fills up: no part of the new file stays, and the older file does', () => {
    const place = folder();
    const output = join(place, 'out.safetensors');
    writeFileSync(output, 'older');
    const command = 'ulimit -f 4 && exec "$@"';
    const args = [process.execPath, bin, ...random, '-o', output];
    const { status, stderr } = spawnSync('bash', ['-c', command, 'bash', ...args], {
      encoding: 'utf8',
    });
    expect(stderr).toMatch(oneLine);
    expect(stderr).toContain(`-o: ${output} cannot be written: EFBIG`);
    expect(status).toBe(1);
    expect(readdirSync(place)).toEqual(['out.safetensors']);
    expect(readFileSync(output, 'utf8')).toBe('older');
  });
});

describe('standard output that cannot be written ends in one line and status 1', () => {
  const commands: [string, (place: string) => string[]][] = [
    ['--version', () => ['--version']],
    ['--help', () => ['embed', '--help']],
    ['devices', () => ['devices']],
    ['devices --json', () => ['devices', '--json']],
    ['inspect', () => ['inspect', latteFolder]],
    ['doctor', () => ['doctor', '--json']],
    ['bench', () => ['bench', '--quick', '--device', 'cpu']],
    ['embed', (place) => [...random, '-o', join(place, 'x.safetensors')]],
  ];
  it.each(commands)('%s > /dev/full', (_, args) => {
    const { status, stderr } = runInto('/dev/full', args(folder()));
    expect(stderr).toMatch(/^latte-embeddings: standard output cannot be written: ENOSPC.*\n$/);
    expect(status).toBe(1);
  });

  it('a disk that fills up in the middle of a write', () => {
    const path = join(folder(), 'out');
    const command = 'ulimit -f 1 && exec "$@" > "$0"';
    const args = [process.execPath, bin, 'embed', '--help'];
    const { status, stderr } = spawnSync('bash', ['-c', command, path, ...args], {
      encoding: 'utf8',
    });
    expect(statSync(path).size).toBe(1024);
    expect(stderr).toMatch(/^latte-embeddings: standard output cannot be written: EFBIG.*\n$/);
    expect(status).toBe(1);
  });
});

describe('options without effect are refused', () => {
  it('--seed where no input is random', async () => {
    const output = join(folder(), 'x.safetensors');
    const { status, stderr } = await run([
      ...['embed', '--checkpoint', latteFolder, '--caption', expectedFile('latte')],
      ...['--seed', '5', '-o', output],
    ]);
    expect(stderr).toMatch(/--seed has no effect.*ERR_VALUE/);
    expect(status).toBe(1);
  });

  it('--base-size with --length', async () => {
    const args = ['plot', 'pos-embed', '--length', '4', '--base-size', '8', '-o', 'x.png'];
    expect((await run(args)).status).toBe(2);
  });

  it('LATTE_DEBUG that is neither 0 nor 1', async () => {
    const { status, stderr } = await run(['devices'], { LATTE_DEBUG: 'yes' });
    expect(stderr).toBe(
      'latte-embeddings: the environment variable LATTE_DEBUG must be 0 or 1, but is "yes"\n',
    );
    expect(status).toBe(1);
  });
});
