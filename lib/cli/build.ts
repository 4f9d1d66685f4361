import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { Command } from 'commander';
import { buildNeeds, builtFile, packageFolder, userAddon } from '../addon.js';

/** Headers that the sources include; the versions are those of package-lock.json. */
const headerPackages = {
  'node-addon-api': '8.9.2',
  'node-api-headers': '1.9.0',
  // Only Highway's headers of this package are used.
  '@img/sharp-libvips-dev': '1.3.4',
} as const;

const specifiers = Object.entries(headerPackages).map(([name, version]) => `${name}@${version}`);
const fetchInto = (folder: string): string[] => [
  ...['install', '--prefix', folder, '--no-save', '--ignore-scripts', '--no-audit', '--no-fund'],
  ...specifiers,
];

interface BuildOptions {
  headers?: string;
  output?: string;
  dryRun?: boolean;
}

/** `build`: builds the addon from source, for hosts for which the package has none. */
export function buildCommand(): Command {
  return new Command('build')
    .description('build the native addon from source, for hosts that the package has none for')
    .option('--headers <folder>', 'download nothing: this folder holds the header packages')
    .option('-o, --output <file>', "the addon's file (default: one in a folder of the user)")
    .option('--dry-run', 'show what would be downloaded and run, and do nothing')
    .addHelpText(
      'after',
      `
Needs ${buildNeeds}.
CXX and CXXFLAGS choose the compiler and its flags. Writes nothing into the package's own folder.

Downloads three npm packages with headers: ${specifiers.join(', ')}.
Without a network, download them on another machine, copy the folder, and name it:
  npm ${fetchInto('latte-headers').join(' ')}
  npx latte-embeddings build --headers latte-headers

The addon goes to $XDG_DATA_HOME or ~/.local/share, where the package looks for it, also after npm ci.
An addon that was put elsewhere by --output is used if LATTE_ADDON names it.`,
    )
    .action((options: BuildOptions) => build(options));
}

function build(options: BuildOptions): void {
  const source = packageFolder();
  const ours = source === undefined ? undefined : userAddon(source);
  if (source === undefined || ours === undefined) {
    throw new Error('the sources of the package are not beside the program');
  }
  const output = options.output === undefined ? ours : resolve(options.output);
  const work = options.dryRun
    ? join(tmpdir(), 'latte-embeddings-build')
    : mkdtempSync(join(tmpdir(), 'latte-embeddings-build-'));
  const headers = resolve(options.headers ?? join(work, 'headers'));
  const step = (command: string, args: string[], needs: string): void => {
    process.stderr.write(`$ ${command} ${args.join(' ')}\n`);
    if (!options.dryRun) run(command, args, needs);
  };
  try {
    if (options.headers === undefined) {
      step('npm', fetchInto(headers), 'Without npm or a network use --headers: see build --help.');
    }
    if (!options.dryRun) checkHeaders(headers);
    const highway = join(work, 'highway');
    if (!options.dryRun) {
      // Copy hwy alone: its folder also has headers of other libraries, which the compiler must not find.
      cpSync(
        join(packageIn(headers, '@img/sharp-libvips-dev'), 'include', 'hwy'),
        join(highway, 'hwy'),
        {
          recursive: true,
        },
      );
    }
    const folder = join(work, 'build');
    const settings = {
      CMAKE_BUILD_TYPE: 'Release',
      LATTE_TESTS: 'OFF',
      HIGHWAY_INCLUDE_DIR: highway,
      NODE_ADDON_API_DIR: packageIn(headers, 'node-addon-api'),
      NODE_API_HEADERS_DIR: join(packageIn(headers, 'node-api-headers'), 'include'),
    };
    const definitions = Object.entries(settings).map(([name, value]) => `-D${name}=${value}`);
    const needs = `This needs ${buildNeeds}.`;
    step('cmake', ['-S', source, '-B', folder, ...definitions], needs);
    step('cmake', ['--build', folder, '--parallel', String(availableParallelism())], needs);
    if (!options.dryRun) install(join(folder, builtFile), output);
  } finally {
    if (!options.dryRun) rmSync(work, { recursive: true, force: true });
  }
  if (options.dryRun) process.stdout.write(`Would build ${output}\n`);
  else process.stdout.write(`Built ${output}\n${used(options, output)}`);
}

function used(options: BuildOptions, output: string): string {
  return options.output === undefined ? '' : `Set LATTE_ADDON=${output} to use it.\n`;
}

const packageIn = (folder: string, name: string): string => join(folder, 'node_modules', name);

function checkHeaders(folder: string): void {
  const missing = Object.keys(headerPackages).filter(
    (name) => !existsSync(packageIn(folder, name)),
  );
  if (missing.length === 0) return;
  throw new Error(
    `${join(folder, 'node_modules')} lacks ${missing.join(', ')}: on a machine with a network run\n` +
      `  npm ${fetchInto(folder).join(' ')}`,
  );
}

/** Runs a program. Its output goes to standard error, so that standard output has only the result. */
function run(command: string, args: readonly string[], needs: string): void {
  const { status, signal, error } = spawnSync(command, args, { stdio: ['ignore', 2, 2] });
  if (status === 0) return;
  const reason = error?.message ?? (signal === null ? `exit status ${status}` : signal);
  throw new Error(`${command} failed: ${reason}. ${needs}`);
}

/** Installs the addon by a rename: a process that loads it meanwhile gets the old or the new file. */
function install(built: string, output: string): void {
  mkdirSync(dirname(output), { recursive: true });
  const temporary = `${output}.${process.pid}`;
  cpSync(built, temporary);
  renameSync(temporary, output);
}
