import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { cp, mkdir, readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

// Kernels broken on purpose: each is compiled from a changed copy of the sources, linked with the
// objects of an ordinary build of kernel_test (../model/CMakeLists.txt), and run.

const kernels = join(__dirname, '..', '..', '..', 'native', 'backend', 'ascend', 'kernels');

/** One change of a kernel that its tests must notice. */
export interface Mutant {
  name: string;
  file: string;
  /** The text to replace; it occurs once in the file. */
  find: string;
  replace: string;
  /** A regular expression for the message of the failing case. */
  expect: string;
  /** Not over a toolkit's headers, where the model cannot see the scalar unit's own accesses. */
  ownHeaderOnly?: boolean;
}

/** An entry of CMake's compile_commands.json. */
interface CompileCommand {
  directory: string;
  command: string;
  file: string;
}

/** Whether a command compiles for kernel_test. The addon compiles the kernels' host side, too. */
const isOfTest = (command: string) => /kernel_test|latte_kernels_modelled/.test(command);

/** How a process ended, and what it wrote to both of its outputs. */
export interface Outcome {
  status: number | null;
  output: string;
}

export function run(command: string, args: string[]): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    // A sanitizer's runtime must not be preloaded into the compiler and kernel_test.
    const env = { ...process.env, LD_PRELOAD: '' };
    const child = spawn(command, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => (output += text));
    }
    child.on('error', reject);
    child.on('close', (status) => resolve({ status, output }));
  });
}

export function readMutants(): Mutant[] {
  return JSON.parse(readFileSync(join(__dirname, 'mutants.json'), 'utf8')) as Mutant[];
}

/** The mutant's file with its change. Rejects if the text to replace is not there exactly once. */
export async function mutatedSource(mutant: Mutant): Promise<string> {
  const source = await readFile(join(kernels, mutant.file), 'utf8');
  const parts = source.split(mutant.find);
  if (parts.length !== 2) {
    throw new Error(`${mutant.file} has ${parts.length - 1} times what is replaced`);
  }
  return parts.join(mutant.replace);
}

/** The file that is compiled for a changed file: itself, or the kernel that includes it. */
async function compiledWith(file: string): Promise<string> {
  if (!file.endsWith('.h')) return file;
  for (const name of await readdir(kernels)) {
    if (!name.endsWith('.cpp')) continue;
    if ((await readFile(join(kernels, name), 'utf8')).includes(`#include "${file}"`)) return name;
  }
  throw new Error(`no kernel includes ${file}`);
}

/** Runs the cases of the mutant's kernel on it. Rejects if the mutant does not compile. */
export async function runMutant(mutant: Mutant, build: string, folder: string): Promise<Outcome> {
  await mkdir(folder, { recursive: true });
  await cp(kernels, folder, { recursive: true });
  await writeFile(join(folder, mutant.file), await mutatedSource(mutant));
  const source = await compiledWith(mutant.file);
  const original = join(kernels, source);
  const changed = join(folder, source);
  const program = join(folder, 'kernel_test');
  const commands = JSON.parse(
    await readFile(join(build, 'compile_commands.json'), 'utf8'),
  ) as CompileCommand[];
  const compile = commands.find(({ command, file }) => file === original && isOfTest(command))!;
  const objects = (await readFile(join(build, 'kernel-test', 'objects'), 'utf8')).split('\n');
  const others = objects.filter((file) => !file.endsWith(`/${source}.o`));
  // Of -O flags the last one counts: compiling quickly saves more time. A mutant may cause warnings.
  const steps = [
    `${compile.command.replaceAll(original, changed)} -w -O1 -o '${changed}.o'`,
    `c++ '${changed}.o' '${others.join("' '")}' -o '${program}'`,
  ];
  for (const step of steps) {
    const { status, output } = await run('sh', ['-c', `cd '${compile.directory}' && ${step}`]);
    if (status !== 0) throw new Error(`the mutant does not compile:\n${output}`);
  }
  // A kernel's cases begin with its name; the host's code serves all kernels.
  return run(program, [source.endsWith('.cpp') ? `${source.split('.')[0]} ` : '', mutant.expect]);
}
