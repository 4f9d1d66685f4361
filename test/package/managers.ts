import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { projectRoot, run, runOk, type RunResult } from './project.js';
import { installTools } from './tools.js';

const bunPackage = `@oven/bun-linux-${process.arch === 'arm64' ? 'aarch64' : 'x64'}`;

/** The versions that the tests install and use. */
const managerVersions: Readonly<Record<string, string>> = {
  npm: '12.2.2',
  pnpm: '12.21.0',
  '@yarnpkg/cli-dist': '4.18.1',
  [bunPackage]: '1.4.5',
};

export const managers = ['npm', 'npm 12', 'pnpm', 'yarn pnp', 'yarn', 'bun'] as const;
export type Manager = (typeof managers)[number];

/** The newest TypeScript that this version of Yarn can patch. */
const typescriptVersion = '5.9.3';

/** Versions of Node.js; '20' is the one that runs the tests, whichever version that is. */
export const nodeVersions = ['20', '22', '24', '26'] as const;
export type NodeVersion = (typeof nodeVersions)[number];

/** Why a manager does not run on a version of Node.js; undefined if it does. */
export function unsupported(manager: Manager, node: NodeVersion): string | undefined {
  if (manager === 'npm 12' && node === '20') return 'npm 12 needs Node.js 22.22.2';
  return undefined;
}

let toolPath: (...path: string[]) => string;

/** Installs the package managers and the versions of Node.js into folders that git ignores. */
export async function installManagers(): Promise<void> {
  // Only this platform's package of Bun, which npm refuses as one of another platform without --force.
  toolPath = await installTools('build-managers', managerVersions, ['--force']);
  await runOk(join(projectRoot, 'scripts', 'test-node-versions.sh'), ['--install'], projectRoot);
}

const nodePackage = `node-linux-${process.arch}`;

function nodeOf(version: NodeVersion): string {
  if (version === '20') return process.execPath;
  const folder = join(projectRoot, 'build-node', version, 'node_modules', nodePackage);
  return join(folder, 'bin', 'node');
}

/** A user's new project, on a host with Node.js and a package manager, but without build tools. */
export interface User {
  folder: string;
  /** Writes a file of the project. */
  write(name: string, text: string): void;
  /** Runs the manager's own command, for example `npm install`. */
  manage(...args: string[]): Promise<string>;
  /** Installs a package from a tarball. */
  add(tarball: string): Promise<void>;
  /** Compiles a TypeScript project. */
  compile(config: string): Promise<void>;
  /** Runs a program of the user by the manager. */
  node(...args: string[]): Promise<string>;
  /** Runs a command that a dependency provides. */
  command(...args: string[]): Promise<string>;
  /** Runs a program on the user's PATH. */
  run(command: string, args: readonly string[]): Promise<RunResult>;
}

/** The programs that shell shims of commands call. No compiler, CMake or Python is among them. */
const systemPrograms = ['sh', 'env', 'sed', 'dirname', 'basename', 'uname', 'readlink', 'realpath'];

/** The environment by which this host reaches a registry: proxies and certificates. */
function networkVariables(): NodeJS.ProcessEnv {
  const names = /^(https?_proxy|no_proxy|NODE_EXTRA_CA_CERTS|SSL_CERT_(FILE|DIR))$/i;
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => names.test(name)));
}

let registry: Promise<string> | undefined;

/**
 * @param parent the folder for the project and for the caches that the projects of one test share;
 *   each project has a home of its own.
 */
export async function newUser(
  parent: string,
  manager: Manager,
  version: NodeVersion,
  node = nodeOf(version),
): Promise<User> {
  const place = mkdtempSync(join(parent, `${manager.replace(' ', '-')}-${version}-`));
  const [home, bin, folder] = ['home', 'bin', 'project'].map((name) => {
    mkdirSync(join(place, name));
    return join(place, name);
  }) as [string, string, string];
  symlinkSync(node, join(bin, 'node'));
  for (const program of systemPrograms) {
    const found = ['/bin', '/usr/bin'].map((of) => join(of, program)).find(existsSync);
    if (found !== undefined) symlinkSync(found, join(bin, program));
  }
  registry ??= runOk('npm', ['config', 'get', 'registry'], projectRoot).then((text) => text.trim());
  const cache = join(parent, 'cache');
  const environment = {
    ...networkVariables(),
    ...{ HOME: home, PATH: bin, TMPDIR: place, CI: '1' },
    npm_config_registry: await registry,
    npm_config_cache: join(cache, 'npm'),
    npm_config_audit: 'false',
    npm_config_update_notifier: 'false',
    npm_config_store_dir: join(cache, 'pnpm'),
    BUN_INSTALL_CACHE_DIR: join(cache, 'bun'),
    BUN_CONFIG_REGISTRY: await registry,
    YARN_NPM_REGISTRY_SERVER: await registry,
    YARN_GLOBAL_FOLDER: join(cache, 'yarn'),
    YARN_ENABLE_GLOBAL_CACHE: 'true',
    YARN_ENABLE_TELEMETRY: 'false',
    // If CI is set, Yarn refuses a new project, because it has no lockfile yet.
    YARN_ENABLE_IMMUTABLE_INSTALLS: 'false',
    YARN_NODE_LINKER: manager === 'yarn pnp' ? 'pnp' : 'node-modules',
  };
  const call = (command: string, args: readonly string[]): Promise<RunResult> =>
    run(command, args, folder, environment);
  const callOk = (command: string, args: readonly string[]): Promise<string> =>
    runOk(command, args, folder, environment);
  const [program, ...first] = commandOf(manager, node);
  const manage = (...args: string[]): Promise<string> => callOk(program!, [...first, ...args]);
  return {
    folder,
    write: (name, text) => writeFileSync(join(folder, name), text),
    manage,
    async add(tarball) {
      const verb = manager === 'npm' || manager === 'npm 12' ? 'install' : 'add';
      await manage(verb, manager.startsWith('yarn') ? `latte-embeddings@file:${tarball}` : tarball);
    },
    async compile(config) {
      if (manager === 'yarn pnp') {
        // Only a compiler that Yarn has patched reads Yarn's map of packages.
        await manage('add', `typescript@${typescriptVersion}`);
        await manage('tsc', '-p', config);
      } else {
        const compiler = join(projectRoot, 'node_modules', 'typescript', 'bin', 'tsc');
        await callOk(join(bin, 'node'), [compiler, '-p', config]);
      }
    },
    node: (...args) => (manager === 'yarn pnp' ? manage('node', ...args) : callOk('node', args)),
    command(...args) {
      if (manager === 'bun') return manage('run', ...args);
      if (manager === 'npm' || manager === 'npm 12')
        return manage('exec', '--offline', '--', ...args);
      return manage('exec', ...args);
    },
    run: call,
  };
}

/** The path of npm: the npm that runs the tests, or the first one on the PATH. */
function ownNpm(): string {
  const { npm_execpath: running, PATH: path = '' } = process.env;
  if (running?.endsWith('npm-cli.js')) return running;
  const found = path
    .split(':')
    .map((of) => join(of, 'npm'))
    .find(existsSync);
  if (found === undefined) throw new Error('there is no npm on the PATH');
  return realpathSync(found);
}

/** The manager's program, and its first arguments. */
function commandOf(manager: Manager, node: string): string[] {
  switch (manager) {
    case 'npm':
      return [node, ownNpm()];
    case 'npm 12':
      return [node, toolPath('npm', 'bin', 'npm-cli.js')];
    case 'pnpm':
      return [node, toolPath('pnpm', 'bin', 'pnpm.mjs')];
    case 'yarn':
    case 'yarn pnp':
      return [node, toolPath('@yarnpkg/cli-dist', 'bin', 'yarn.js')];
    case 'bun':
      return [toolPath(bunPackage, 'bin', 'bun')];
  }
}
