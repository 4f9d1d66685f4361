// npm's `prepare`: compiles lib/ to dist/ whenever npm installs from a checkout. A checkout that is
// installed as a folder (`npm install ../latte-embeddings`) or without development dependencies has
// no compiler yet, so this brings them in first.
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
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

try {
  createRequire(import.meta.url).resolve('typescript');
} catch {
  npm('ci', '--include=dev', '--ignore-scripts', '--no-audit', '--no-fund');
}
npm('run', '--silent', 'build:ts');
