import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** The path of the addon that is tested. */
export const addon =
  process.env.LATTE_ADDON ??
  join(__dirname, '..', '..', 'build', 'Release', 'latte_embeddings.node');

/**
 * Builds a target of test/CMakeLists.txt that is not built with the addon, and returns the folder of the
 * build. Several test files may do so at the same time.
 */
export function buildTarget(target: string): string {
  // cmake-js builds the addon in a folder below that of the build.
  const folders = [dirname(addon), dirname(dirname(addon))];
  const build = folders.find((folder) => existsSync(join(folder, 'CMakeCache.txt')));
  if (build === undefined) throw new Error(`There is no build in ${folders.join(' or ')}.`);
  const cmake = ['cmake', '--build', build, '--target', target, '--parallel', '2'];
  // A sanitizer's runtime must not be preloaded into the compiler.
  const env = { ...process.env, LD_PRELOAD: '' };
  execFileSync('flock', [build, ...cmake], { env, encoding: 'utf8', stdio: 'pipe' });
  return build;
}
