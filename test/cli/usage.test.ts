import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { bin, latteFolder, run, temporaryFolders } from './run.js';

const folder = temporaryFolders();
const commands = [
  ['inspect'],
  ['embed'],
  ['plot'],
  ['plot', 'pos-embed'],
  ['plot', 'timesteps'],
  ['devices'],
  ['doctor'],
];

const modelNames = [
  ...['Latte', 'PixArt', 'SD3', 'Flux', 'Wan', 'HunyuanVideo', 'Sana', 'LTX-Video', 'Allegro'],
  ...['CogVideoX', 'Qwen-Image'],
];

describe('help', () => {
  it('lists every command and shows examples', async () => {
    const { status, stdout, stderr } = await run(['--help']);
    expect(status).toBe(0);
    expect(stderr).toBe('');
    for (const [command] of commands) expect(stdout).toMatch(new RegExp(`^  ${command} `, 'm'));
    expect(stdout).toContain('Examples:');
  });

  it('names the models, as the descriptions of both packages do', async () => {
    const root = join(__dirname, '..', '..');
    const [library, server] = ['package.json', 'server/package.json'].map(
      (file) => JSON.parse(readFileSync(join(root, file), 'utf8')) as { description: string },
    );
    const { stdout } = await run(['--help']);
    for (const text of [stdout, library!.description, server!.description]) {
      for (const model of modelNames) expect(text).toContain(model);
    }
  });

  it.each(commands)('explains %s %s without the native addon', async (...command) => {
    // With this path the library would throw when it is loaded.
    const { status, stdout } = await run([...command, '--help'], { LATTE_ADDON: '/nonexistent' });
    expect(status).toBe(0);
    expect(stdout).toContain(`Usage: latte-embeddings ${command.join(' ')}`);
    expect(stdout.split('\n').filter((line) => line.length > 100)).toEqual([]);
  });

  it('prints the version of package.json', async () => {
    const path = join(__dirname, '..', '..', 'package.json');
    const { version } = JSON.parse(readFileSync(path, 'utf8')) as { version: string };
    expect(await run(['--version'])).toEqual({ status: 0, stdout: `${version}\n`, stderr: '' });
  });
});

describe('usage errors: one line, a hint, exit status 2', () => {
  const embed = [
    'embed',
    '--checkpoint',
    latteFolder,
    '--caption',
    'random:1,4',
    '-o',
    'x.safetensors',
  ];
  const cases: [string, string[], RegExp][] = [
    ['an unknown command', ['embde'], /unknown command 'embde'[^]*Did you mean embed\?/],
    ['an unknown option', [...embed, '--latnet', 'x'], /unknown option '--latnet'/],
    [
      'a misspelt option that is required',
      ['embed', '--chekpoint', 'x'],
      /unknown option '--chekpoint'\n\(Did you mean --checkpoint\?\)/,
    ],
    [
      'a misspelt option before one that is missing',
      ['plot', 'timesteps', '--stepz', '3'],
      /unknown option '--stepz'\n\(Did you mean --steps\?\)/,
    ],
    ['a missing argument', ['inspect'], /missing required argument 'checkpoint'/],
    [
      'a missing option',
      ['embed', '--caption', 'x', '-o', 'y'],
      /'--checkpoint <path>' not specified/,
    ],
    ['an argument too many', ['devices', 'cpu'], /too many arguments/],
    [
      'words for timesteps',
      [...embed, '--timesteps', '999,soon'],
      /--timesteps[^]*999,soon[^]*commas/,
    ],
    ['no timestep between commas', [...embed, '--timesteps', '999,,1'], /--timesteps/],
    ['infinite timesteps', [...embed, '--timesteps', 'Infinity'], /--timesteps/],
    [
      'both steps and timesteps',
      [...embed, '--steps', '3', '--timesteps', '1'],
      /--timesteps[^]*cannot be used with[^]*--steps/,
    ],
    ['no steps', [...embed, '--steps', '0'], /whole number from 1 to 1000/],
    ['a fraction of a step', [...embed, '--steps', '1.5'], /whole number/],
    ['a random latent of rank 3', [...embed, '--latent', 'random:1,4,8'], /random:B,C,F,H,W/],
    [
      'a random caption with its channels',
      [...embed.slice(0, 4), 'random:1,4,32', '-o', 'x'],
      /random:B,L/,
    ],
    ['another dtype', [...embed, '--dtype', 'float64'], /--dtype[^]*Allowed choices are float32/],
    ['another device', [...embed, '--device', 'gpu'], /--device/],
    ['half a resolution', [...embed, '--resolution', '512'], /height and width/],
    ['a negative ratio', [...embed, '--aspect-ratio', '-1'], /above 0/],
    ['a grid without columns', ['plot', 'pos-embed', '--grid', '16x', '-o', 'x'], /rows x columns/],
    [
      'grid and length',
      ['plot', 'pos-embed', '--grid', '2', '--length', '2', '-o', 'x'],
      /cannot be used with/,
    ],
    ['no output', ['plot', 'timesteps'], /'-o, --output <file>' not specified/],
  ];

  it.each(cases)('%s', async (_, args, message) => {
    const { status, stdout, stderr } = await run(args);
    expect(stderr).toMatch(message);
    expect(stderr).toMatch(/^latte-embeddings: .*\n([(].*\n)?Try the command with '--help'\.\n$/);
    expect(stdout).toBe('');
    expect(status).toBe(2);
  });

  it.each([[[]], [['plot']]])('the help, for an incomplete command line %j', async (args) => {
    const { status, stdout, stderr } = await run(args);
    expect(stderr).toContain('Usage: latte-embeddings');
    expect(stdout).toBe('');
    expect(status).toBe(2);
  });
});

describe('failures: one line, exit status 1', () => {
  it('names a file that is not there, with the code', async () => {
    const path = join(folder(), 'none.safetensors');
    const { status, stdout, stderr } = await run(['inspect', path]);
    expect(stderr).toMatch(/^latte-embeddings: .+\n$/);
    expect(stderr).toContain(path);
    expect(stderr).toContain('ERR_CHECKPOINT');
    expect(stdout).toBe('');
    expect(status).toBe(1);
  });

  it('refuses an output in a folder that does not exist, before it computes', async () => {
    const output = join(folder(), 'none', 'x.png');
    const { status, stderr } = await run(['plot', 'timesteps', '-o', output]);
    expect(stderr).toMatch(/^latte-embeddings: -o: there is no folder .*none\n$/);
    expect(status).toBe(1);
  });

  it('refuses a picture in another format than it writes', async () => {
    const output = join(folder(), 'table.jpg');
    const { status, stdout, stderr } = await run(['plot', 'timesteps', '-o', output]);
    expect(stderr).toMatch(
      /^latte-embeddings: -o: .* an \.svg or a \.png, but .* ends with \.jpg\n$/,
    );
    expect([status, stdout, existsSync(output)]).toEqual([1, '', false]);
  });

  it('refuses a folder as output', async () => {
    const { status, stderr } = await run(['plot', 'timesteps', '-o', folder()]);
    expect(stderr).toMatch(/is a folder/);
    expect(status).toBe(1);
  });

  it('refuses an npu that is not there, with the reason', async () => {
    const output = join(folder(), 'x.safetensors');
    const { status, stderr } = await run([
      ...['embed', '--checkpoint', latteFolder, '--caption', 'random:1,4'],
      ...['--device', 'npu:7', '-o', output],
    ]);
    expect(stderr).toMatch(
      /^latte-embeddings: .*"npu:7" is not available: .+\[ERR_DEVICE_UNAVAILABLE\]\n$/,
    );
    expect(status).toBe(1);
  });

  it('shows the stack with LATTE_DEBUG=1 alone', async () => {
    const args = ['inspect', join(folder(), 'none.safetensors')];
    expect((await run(args, { LATTE_DEBUG: '1' })).stderr).toMatch(/\n {4}at /);
    expect((await run(args)).stderr).not.toMatch(/\n {4}at /);
  });
});

it('ends quietly when the reader of its output leaves', async () => {
  const child = spawn(process.execPath, [bin, 'devices', '--json'], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  child.stdout.destroy();
  const [status] = (await once(child, 'close')) as [number];
  expect(stderr).toBe('');
  expect(status).toBe(0);
});
