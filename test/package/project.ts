import { execFile, type ExecFileException } from 'node:child_process';
import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';

/** The root folder of this project. */
export const projectRoot = resolve(dirname(__filename), '..', '..');

/** A folder below the system's temporary one, and how to remove it. */
export function temporaryFolder(name: string): { path: string; remove: () => void } {
  const path = realpathSync(mkdtempSync(join(tmpdir(), `latte-${name}-`)));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

export interface RunResult {
  /** The exit status, or the signal that ended the process. */
  status: number | string;
  stdout: string;
  stderr: string;
}

/**
 * This process's environment without the variables of `npm run` and vitest, which affect other programs.
 */
export function plainEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(process.env).filter(
      ([name]) => !/^(npm_|INIT_CWD$|VITEST|NODE_ENV$)/.test(name),
    ),
  );
}

/** Runs a program without a terminal; resolves to its result, whatever its exit status. */
export function run(
  command: string,
  args: readonly string[],
  cwd: string,
  env: NodeJS.ProcessEnv = plainEnvironment(),
): Promise<RunResult> {
  return new Promise((done) => {
    const options = { cwd, env, encoding: 'utf8', maxBuffer: 2 ** 28 } as const;
    const child = execFile(
      command,
      args,
      options,
      (error: ExecFileException | null, stdout, stderr) => {
        const status = error === null ? 0 : (error.signal ?? error.code ?? 'unknown');
        done({ status, stdout, stderr });
      },
    );
    child.stdin?.end();
  });
}

/** Like {@link run}, but throws an error with all output if the exit status is not 0. */
export async function runOk(
  command: string,
  args: readonly string[],
  cwd: string,
  env?: NodeJS.ProcessEnv,
): Promise<string> {
  const { status, stdout, stderr } = await run(command, args, cwd, env);
  if (status !== 0) {
    throw new Error(`${command} ${args.join(' ')}: exit status ${status}\n${stdout}\n${stderr}`);
  }
  return stdout;
}

export interface Tarball {
  path: string;
  /** The paths in the tarball, without the leading 'package/'. */
  files: string[];
}

/** Packs what `npm publish` would upload, as a tarball in `folder`. */
export async function pack(folder: string): Promise<Tarball> {
  const args = ['pack', '--json', '--ignore-scripts', '--pack-destination', folder];
  const [packed] = JSON.parse(await runOk('npm', args, projectRoot)) as [
    { filename: string; files: { path: string }[] },
  ];
  return {
    path: join(folder, packed.filename),
    files: packed.files.map(({ path }) => path).sort(),
  };
}
