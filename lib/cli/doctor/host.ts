import {
  accessSync,
  constants,
  existsSync,
  readFileSync,
  readdirSync,
  realpathSync,
} from 'node:fs';
import { dirname, join } from 'node:path';

/** The facts about an Ascend host that the file system shows, without CANN's libraries. */
export interface HostFacts {
  driver: {
    /** The folder of the driver; undefined if it does not exist. */
    folder?: string;
    /** The version in the driver's version.info. */
    version?: string;
    /** /dev/davinci0 …, sorted by number. The numbers are those of the host. */
    devices: string[];
    /** Nodes of /dev that every process with an NPU needs, and that do not exist. */
    missingNodes: string[];
    /** Nodes that this user may not open. */
    forbiddenNodes: string[];
  };
  /** The folders in which CANN may be, in the order in which the addon looks for it. */
  toolkits: Toolkit[];
  /** The folder of CANN's operators, and the chips for which their kernels are installed. */
  operators?: { folder: string; kernels: string[] };
  environment: Record<string, string | undefined>;
}

export interface Toolkit {
  /** The variable that names the folder; undefined for a folder in which CANN installs itself. */
  variable?: string;
  folder: string;
  /** Whether the runtime library is in its lib64. */
  hasLibrary: boolean;
}

/** Variables that decide what a process sees of the NPUs, or how this package uses them. */
const variables = [
  'ASCEND_HOME_PATH',
  'ASCEND_TOOLKIT_HOME',
  'LD_LIBRARY_PATH',
  'ASCEND_RT_VISIBLE_DEVICES',
  'ASCEND_VISIBLE_DEVICES',
  'LATTE_ASCEND_KERNELS',
  'LATTE_ASCEND_KERNEL_BINARY',
  'LATTE_ASCEND_FUSED_PATCH',
  'LATTE_ASCEND_CAPTURE',
  'LATTE_ASCEND_SYNC',
] as const;

/** The folders, below the root, in which newer and older releases of CANN install themselves. */
const usualFolders = ['usr/local/Ascend/cann', 'usr/local/Ascend/ascend-toolkit/latest'];

const sharedNodes = ['davinci_manager', 'devmm_svm', 'hisi_hdc'];

/**
 * Reads the facts of this host.
 * @param root the root of the file system; tests pass another folder.
 */
export function readHost(root = '/', env: NodeJS.ProcessEnv = process.env): HostFacts {
  const toolkits = readToolkits(root, env);
  return {
    driver: readDriver(root),
    toolkits,
    operators: readOperators(toolkits, env),
    environment: Object.fromEntries(variables.map((name) => [name, env[name]])),
  };
}

function readDriver(root: string): HostFacts['driver'] {
  const dev = join(root, 'dev');
  const devices = namesIn(dev)
    .filter((name) => /^davinci\d+$/.test(name))
    .sort((a, b) => Number(a.slice('davinci'.length)) - Number(b.slice('davinci'.length)));
  const nodes = [...devices, ...sharedNodes];
  const present = nodes.filter((name) => existsSync(join(dev, name)));
  const folder = join(installPath(root), 'driver');
  return {
    folder: existsSync(folder) ? folder : undefined,
    version: field(join(folder, 'version.info'), 'Version'),
    devices: devices.map((name) => join(dev, name)),
    missingNodes: sharedNodes
      .filter((name) => !present.includes(name))
      .map((name) => join(dev, name)),
    forbiddenNodes: present.map((name) => join(dev, name)).filter((node) => !mayOpen(node)),
  };
}

/** The folder into which the driver was installed, from the file that its installer writes. */
function installPath(root: string): string {
  const noted = field(join(root, 'etc', 'ascend_install.info'), 'Driver_Install_Path_Param');
  return join(root, noted ?? 'usr/local/Ascend');
}

function readToolkits(root: string, env: NodeJS.ProcessEnv): Toolkit[] {
  const toolkits: Toolkit[] = [];
  for (const variable of ['ASCEND_HOME_PATH', 'ASCEND_TOOLKIT_HOME']) {
    const folder = env[variable];
    if (folder === undefined || folder === '') continue;
    if (toolkits.some((toolkit) => toolkit.folder === folder)) continue;
    toolkits.push({ variable, folder, hasLibrary: hasLibrary(folder) });
  }
  for (const path of usualFolders) {
    const usual = join(root, path);
    if (existsSync(usual) && !toolkits.some(({ folder }) => folder === usual)) {
      toolkits.push({ folder: usual, hasLibrary: hasLibrary(usual) });
    }
  }
  return toolkits;
}

/**
 * The chips for which kernels of CANN's operators are installed. These are a package of their own, with
 * a folder for each chip (hicann/opbase aa3cd74: indv_collector.cpp).
 */
function readOperators(
  toolkits: readonly Toolkit[],
  env: NodeJS.ProcessEnv,
): HostFacts['operators'] {
  const toolkit = toolkits.find((one) => one.hasLibrary);
  const named = env.ASCEND_OPP_PATH;
  const folder =
    named !== undefined && named !== '' ? named : toolkit && join(toolkit.folder, 'opp');
  if (folder === undefined || !existsSync(folder)) return undefined;
  const lists = join(folder, 'built-in/op_impl/ai_core/tbe/kernel/config');
  return {
    folder,
    kernels: namesIn(lists)
      .filter((name) => /^ascend/.test(name))
      .sort(),
  };
}

function hasLibrary(toolkit: string): boolean {
  return ['libacl_rt.so', 'libascendcl.so'].some((name) =>
    existsSync(join(toolkit, 'lib64', name)),
  );
}

/**
 * The version of the toolkit that a library belongs to ('8.1.RC1'). The installer writes it into
 * <toolkit>/<arch>-linux; the toolkit's lib64 is a link to the lib64 there.
 */
export function toolkitVersion(library: string): string | undefined {
  let folder: string;
  try {
    folder = dirname(dirname(realpathSync(library)));
  } catch {
    return undefined;
  }
  return field(join(folder, 'ascend_toolkit_install.info'), 'version');
}

/** The value of `name` in a file with lines `name=value`. */
function field(file: string, name: string): string | undefined {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
  const value = text
    .split(/\r?\n/)
    .map((line) => line.split('='))
    .find(([key]) => key?.trim() === name)?.[1]
    ?.trim();
  return value === '' ? undefined : value;
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function mayOpen(node: string): boolean {
  try {
    accessSync(node, constants.R_OK | constants.W_OK);
    return true;
  } catch {
    return false;
  }
}
