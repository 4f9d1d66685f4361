import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { noSuchFile, wrongFile } from './addon-file.js';

/** The hosts for which the package contains an addon, for messages. @internal */
export const prebuiltHosts = 'Linux with glibc 2.28 or newer, or with musl, on x64 and arm64';

/** What `latte-embeddings build` needs on a host, for messages. @internal */
export const buildNeeds =
  'CMake 3.22 or newer, make or Ninja, and a C++20 compiler (GCC 11, clang 14 or newer)';

/** The file name that CMakeLists.txt gives the addon. @internal */
export const builtFile = 'latte_embeddings.node';

/**
 * Whether this Node.js runs on musl. Its loader would take an addon for glibc, too, as far as the names
 * of functions go. `process.report` would answer this as well, but takes much longer than reading a file.
 */
function isOnMusl(): boolean {
  try {
    const maps = readFileSync('/proc/self/maps', 'latin1');
    return !/\/libc(\.so\.6|-2\.\d+\.so)\b/.test(maps);
  } catch {
    return false; // without /proc
  }
}

const isLinux = process.platform === 'linux';
const needsMusl = isLinux && isOnMusl();
const platform = `${process.platform}-${process.arch}${needsMusl ? '-musl' : ''}`;

/**
 * The folder of this package; in a bundle, the folder above the bundle's. Undefined in a bundle of
 * ES modules, which has no __dirname.
 * @internal
 */
export function packageFolder(): string | undefined {
  return typeof __dirname === 'undefined' ? undefined : join(__dirname, '..');
}

interface Manifest {
  name?: string;
  version: string;
}

function manifestOf(folder: string): Manifest | undefined {
  try {
    const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Manifest;
    return manifest.name === 'latte-embeddings' ? manifest : undefined;
  } catch {
    return undefined;
  }
}

/**
 * The file into which `latte-embeddings build` writes the addon, and from which {@link findAddon}
 * loads it. It lies in a folder of the user: `npm ci` does not empty that folder, and the user can
 * write there even if node_modules is read-only.
 * @param folder the folder of this package.
 * @returns undefined if `folder` is not this package's (in a bundle, for example).
 * @internal
 */
export function userAddon(folder: string): string | undefined {
  const data = process.env.XDG_DATA_HOME || join(homedir(), '.local', 'share');
  const version = manifestOf(folder)?.version;
  return version && join(data, 'latte-embeddings', version, platform, 'latte.node');
}

/** The loaded addon, or the reasons why no file could be loaded. @internal */
export interface Found {
  exports?: unknown;
  /** The loaded file; undefined if a bundler has renamed the file. */
  path?: string;
  /** One line, with the path and the reason, for each file that could not be loaded. */
  tried: string[];
}

/**
 * Loads the addon. If LATTE_ADDON is set, only the file that it names is tried. Else the first of
 * these that can be loaded is taken: the build of a checkout, {@link userAddon}, and the addon that
 * the package contains for this platform.
 * @internal
 */
export function findAddon(): Found {
  const tried: string[] = [];
  const { LATTE_ADDON: named } = process.env;
  const folder = packageFolder();
  for (const path of named ? [named] : addonFiles(folder)) {
    const wrong = wrongFile(path);
    if (wrong !== undefined) {
      tried.push(`  ${path}: ${wrong}`);
      continue;
    }
    const holder = { exports: {} };
    try {
      process.dlopen(holder, path);
      return { exports: holder.exports, path, tried };
    } catch (cause) {
      tried.push(`  ${path}: ${(cause as Error).message}`);
    }
  }
  if (named) return { tried };
  const relative = join('prebuilds', platform, 'latte.node');
  if (needsMusl) {
    if (folder === undefined) tried.push(`  ${relative}: not in a bundle; name it in LATTE_ADDON`);
    return { tried };
  }
  const path = folder === undefined ? undefined : join(folder, relative);
  const wrong = path && wrongFile(path);
  // If there is no file, a bundler may have put the addon elsewhere.
  if (wrong && wrong !== noSuchFile) {
    tried.push(`  ${path}: ${wrong}`);
    return { tried };
  }
  try {
    return { exports: packagedAddon(), path, tried };
  } catch (cause) {
    const [reason] = (cause as Error).message.split('\n');
    tried.push(`  ${path ?? relative}: ${reason}`);
    return { tried };
  }
}

function addonFiles(folder: string | undefined): string[] {
  if (folder === undefined) return [];
  const configurations = ['Release', 'Debug'];
  const users = userAddon(folder);
  const own = configurations.map((name) => join(folder, 'build', name, builtFile));
  const built = users === undefined ? own : [...own, users];
  // Not by `require`, as bundlers would then carry it in every program.
  return needsMusl ? [...built, join(folder, 'prebuilds', platform, 'latte.node')] : built;
}

/** The addon for glibc. Each path stands in a literal `require`, because bundlers follow no other. */
function packagedAddon(): unknown {
  /* eslint-disable @typescript-eslint/no-require-imports */
  switch (platform) {
    case 'linux-x64':
      return require('../prebuilds/linux-x64/latte.node');
    case 'linux-arm64':
      return require('../prebuilds/linux-arm64/latte.node');
    default:
      throw new Error('the package has no addon for this platform');
  }
  /* eslint-enable @typescript-eslint/no-require-imports */
}

/** What a user can do if no addon could be loaded, as lines of a message. @internal */
export function loadAdvice(): string[] {
  return [
    `The package has addons for ${prebuiltHosts}.`,
    isLinux
      ? 'On another Linux (other processors, an older C library), build the addon from source:'
      : `The sources are for Linux, not for ${process.platform}. In a container or virtual machine with Linux that the package has no addon for, build it from source:`,
    '  npx latte-embeddings build',
    `It needs ${buildNeeds}; npx latte-embeddings build --help names what it downloads and how to build without a network.`,
  ];
}
