// npm's `prepare`: whenever npm installs from a checkout, builds the addon (build/Release) and the JavaScript
// (dist/). A checkout that is installed as a folder (`npm install ../latte-embeddings`) or without development
// dependencies has no TypeScript compiler, so this installs them first. In an installed package it does
// nothing; `npm rebuild` in a tree of pnpm runs it there.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));

function npm(...args) {
  // Options of the calling npm, such as its prefix, must not apply to this call.
  const env = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^npm_config_/i.test(name)),
  );
  const { status } = spawnSync('npm', args, { cwd: root, env, stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
}

// An installed package lacks this file.
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
