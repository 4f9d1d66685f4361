// npm's `prepare`: makes a checkout ready whenever npm installs from it: the addon in build/Release
// and JavaScript in dist/. A checkout that is installed as a folder (`npm install ../latte-embeddings`)
// or without development dependencies has no compiler of TypeScript yet, so this brings them in first.
// An installed package has nothing to prepare; `npm rebuild` in a tree of pnpm runs this all the same.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));

function npm(...args) {
  // The options of the npm that runs this (its prefix, what it omits) are not for this one.
  const env = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^npm_config_/i.test(name)),
  );
  const { status } = spawnSync('npm', args, { cwd: root, env, stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
}

// A tarball lacks this file.
if (existsSync(join(root, 'tsconfig.build.json'))) {
  try {
    createRequire(import.meta.url).resolve('typescript');
  } catch {
    npm('ci', '--include=dev', '--ignore-scripts', '--no-audit', '--no-fund');
  }
  const { npm_command: command } = process.env;
  if (command === 'pack' || command === 'publish') {
    const platforms = ['linux-x64', 'linux-arm64', 'linux-x64-musl', 'linux-arm64-musl'];
    const missing = platforms.filter(
      (platform) => !existsSync(join(root, 'prebuilds', platform, 'latte.node')),
    );
    if (missing.length > 0) {
      console.error(`No addon for ${missing.join(', ')}: run npm run build:prebuilds first.`);
      process.exit(1);
    }
  } else {
    npm('run', '--silent', 'build:native');
  }
  npm('run', '--silent', 'build:ts');
}
