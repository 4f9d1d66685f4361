import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { projectRoot, runOk } from './project.js';

/**
 * Installs packages of exact versions into a folder of the project that git ignores, unless they are there.
 * For tools that only these tests run, and that few contributors need. Returns a function that makes paths
 * below the folder's node_modules.
 */
export async function installTools(
  folderName: `build-${string}`,
  versions: Readonly<Record<string, string>>,
  options: readonly string[] = [],
): Promise<(...path: string[]) => string> {
  const folder = join(projectRoot, folderName);
  const toolPath = (...path: string[]): string => join(folder, 'node_modules', ...path);
  const missing = Object.entries(versions).filter(([name, version]) => {
    const manifest = toolPath(name, 'package.json');
    if (!existsSync(manifest)) return true;
    return (JSON.parse(readFileSync(manifest, 'utf8')) as { version: string }).version !== version;
  });
  if (missing.length > 0) {
    mkdirSync(folder, { recursive: true });
    const specifiers = Object.entries(versions).map(([name, of]) => `${name}@${of}`);
    const quiet = ['--no-save', '--ignore-scripts', '--no-audit', '--no-fund', ...options];
    await runOk('npm', ['install', '--prefix', folder, ...quiet, ...specifiers], projectRoot);
  }
  return toolPath;
}
