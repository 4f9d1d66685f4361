import { execFileSync, spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { caption, timesteps } from './support/inputs.js';
import { get, postBinary } from './support/rest.js';
import { buildServer } from './support/build.js';
import { latte } from './support/server.js';

type Line = Record<string, unknown> & { msg: string };

/** The command in a process of its own, and the lines of its log. */
class Command {
  readonly process: ChildProcessWithoutNullStreams;
  readonly lines: Line[] = [];
  readonly ended: Promise<number | null>;
  stderr = '';
  #waiting: (() => void)[] = [];

  constructor(...args: string[]) {
    const ports = ['--http', '0', '--grpc', '0', '--device', 'cpu'];
    this.process = spawn(process.execPath, [main, ...ports, ...args]);
    running.add(this);
    this.ended = once(this.process, 'close').then(([code]) => code as number | null);
    this.process.stderr.on('data', (chunk: Buffer) => (this.stderr += chunk.toString()));
    createInterface({ input: this.process.stdout }).on('line', (line) => {
      this.lines.push(JSON.parse(line) as Line);
      for (const resolve of this.#waiting.splice(0)) resolve();
    });
  }

  /** Resolves to the first line of the log whose message begins so; rejects if the process ends first. */
  async line(begin: string): Promise<Line> {
    for (;;) {
      const found = this.lines.find(({ msg }) => msg.startsWith(begin));
      if (found !== undefined) return found;
      const more = new Promise<boolean>((resolve) => this.#waiting.push(() => resolve(true)));
      if (!(await Promise.race([more, this.ended.then(() => false)]))) {
        throw new Error(`the command ended without "${begin}": ${this.stderr}`);
      }
    }
  }

  async base(): Promise<string> {
    return `http://127.0.0.1:${String((await this.line('ready')).http)}`;
  }
}

const folder = mkdtempSync(join(tmpdir(), 'latte-server-'));
const main = join(folder, 'dist', 'command', 'main.js');
const running = new Set<Command>();

beforeAll(() => buildServer(folder));

afterEach(() => {
  for (const command of running) command.process.kill('SIGKILL');
  running.clear();
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('the command', () => {
  test('logs its addresses and a line for each request, and drains on SIGTERM', async () => {
    const command = new Command('--model', latte, '--drain-delay', '4000');
    const base = await command.base();
    expect(await command.line('ready')).toMatchObject({
      host: '127.0.0.1',
      devices: ['cpu'],
      msg: expect.stringContaining('loopback only') as string,
    });
    const inputs = [caption(1, 2), timesteps(1)];
    await postBinary(base, 'conditioning', inputs, {
      id: 'first',
      parameters: { binary_data_output: true },
    });
    expect(await command.line('infer')).toMatchObject({
      protocol: 'http',
      model: 'conditioning',
      id: 'first',
      outcome: 'ok',
      device: 'cpu',
      batch: 1,
      bytesOut: expect.any(Number) as number,
    });
    command.process.kill('SIGTERM');
    await command.line('shutting down');
    // The service is draining: not ready, but live, and still answering.
    expect(await get(`${base}/v2/health/ready`)).toMatchObject({ status: 503 });
    expect(await get(`${base}/v2/health/live`)).toMatchObject({ status: 200 });
    const answer = await postBinary(base, 'conditioning', inputs);
    expect(answer.status).toBe(200);
    expect(answer.headers.connection).toBe('close');
    expect(await command.ended).toBe(0);
    expect(command.lines.at(-1)!.msg).toBe('all requests are answered');
    expect(command.stderr).toBe('');
  });

  test('cannot start without weights, or on a port that is taken: status 1 and the reason', async () => {
    const missing = new Command('--model', join(folder, 'missing'));
    expect(await missing.ended).toBe(1);
    expect(missing.lines.at(-1)!.msg).toMatch(/cannot start: .*missing/);
    expect(missing.stderr).toMatch(/^latte-embeddings-server cannot start: .*missing.*\n$/);
    const first = new Command('--model', latte);
    const { http } = await first.line('ready');
    const second = new Command('--model', latte, '--http', String(http));
    expect(await second.ended).toBe(1);
    expect(second.lines.at(-1)!.msg).toMatch(/cannot start: .*EADDRINUSE/);
  });

  test('its help has defaults in the units of the options, names the models, and wraps', () => {
    const help = execFileSync(process.execPath, [main, '--help'], { encoding: 'utf8' });
    for (const [option, initial] of [
      ['--max-body <MiB>', '32'],
      ['--max-json <MiB>', '16'],
      ['--memory <MiB>', '2048'],
    ]) {
      expect(help).toMatch(new RegExp(`^ +${option} .*\\(default: ${initial}\\)$`, 'm'));
    }
    for (const model of ['PixArt', 'SD3', 'Flux', 'LTX-Video', 'Qwen-Image'])
      expect(help).toContain(model);
    const [, description] = /\n\n([^]*?)\n\nOptions:/.exec(help)!;
    const lines = description!.split('\n');
    // A line ends only where the next word has no room.
    for (const [i, line] of lines.slice(1).entries())
      expect(`${lines[i]} ${line.split(' ', 1)[0]}`.length).toBeGreaterThan(80);
  });

  test('wrong usage: status 2 and what is wrong', async () => {
    const cases: [string[], RegExp][] = [
      [[], /--model/],
      [['--model', latte, '--queue', '-1'], /whole number from 0/],
      [['--model', latte, '--batch', 'maybe'], /one of auto, on, off/],
      [['--model', latte, '--memory', '1', '--max-body', '2'], /--memory/],
      [['--model', latte, '--colour'], /unknown option/],
      [['--modle', latte], /unknown option '--modle'\n\(Did you mean --model\?\)/],
    ];
    for (const [args, message] of cases) {
      const command = new Command(...args);
      expect(await command.ended, args.join(' ')).toBe(2);
      expect(command.stderr).toMatch(message);
    }
  });
});

test('the package has what the command needs', () => {
  for (const file of ['proto/inference.proto', 'package.json', 'dist/command/main.js']) {
    expect(existsSync(join(folder, file)), file).toBe(true);
  }
});
