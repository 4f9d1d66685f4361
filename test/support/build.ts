import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** The addon that is tested. */
export const addon =
  process.env.LATTE_ADDON ??
  join(__dirname, '..', '..', 'build', 'Release', 'latte_embeddings.node');

/**
 * Builds a target of test/CMakeLists.txt that is not built with the addon, and returns the build's
 * folder. Test files may do so at the same time.
 */
export function buildTarget(target: string): string {
  // cmake-js puts the addon in a folder of its own.
  const folders = [dirname(addon), dirname(dirname(addon))];
  const build = folders.find((folder) => existsSync(join(folder, 'CMakeCache.txt')));
  if (build === undefined) throw new Error(`There is no build in ${folders.join(' or ')}.`);
  const cmake = ['cmake', '--build', build, '--target', target, '--parallel', '2'];
  // The compiler is no part of what a sanitizer's runtime watches.
  const env = { ...process.env, LD_PRELOAD: '' };
  execFileSync('flock', [build, ...cmake], { env, encoding: 'utf8', stdio: 'pipe' });
  return build;
}
