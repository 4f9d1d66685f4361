import { execFileSync } from 'node:child_process';
import { cpSync, readFileSync, symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

const server = join(__dirname, '..', '..');
const root = join(server, '..');

/**
 * Builds the package into a folder, with the files that npm packs and its dependencies linked. So tests
 * never run an old build, or one that another run is writing.
 */
export function buildServer(folder: string): void {
  const tsc = createRequire(__filename).resolve('typescript/bin/tsc');
  const run = (args: string[]): void => {
    execFileSync(process.execPath, [tsc, ...args], { cwd: root, stdio: 'inherit' });
  };
  run(['-p', 'server/tsconfig.build.json', '--outDir', join(folder, 'dist')]);
  const { files } = JSON.parse(readFileSync(join(server, 'package.json'), 'utf8')) as {
    files: string[];
  };
  for (const file of files.filter((each) => each !== 'dist')) {
    cpSync(join(server, file), join(folder, file), { recursive: true });
  }
  cpSync(join(server, 'package.json'), join(folder, 'package.json'));
  symlinkSync(join(server, 'node_modules'), join(folder, 'node_modules'));
}
