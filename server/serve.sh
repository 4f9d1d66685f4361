#!/usr/bin/env bash
# npm run serve -- --model <folder> …: installs the service's dependencies and builds the addon, the
# library and the service if they are missing or older than a source, then serves. --help lists the
# options. Relative folders are the caller's.
set -euo pipefail
caller=${INIT_CWD:-$PWD}
cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$PWD

# stale <result> <sources …>: whether a result is missing, or older than one of its sources.
stale() {
  local result=$1
  shift
  [ ! -e "$result" ] || [ -n "$(find "$@" -newer "$result" -print -quit)" ]
}

# Standard output is the service's log, so the builds print to standard error.
{
  [ -e node_modules/typescript ] || npm ci --ignore-scripts --no-audit --no-fund </dev/null
  if [ ! server/node_modules/.package-lock.json -nt server/package-lock.json ]; then
    npm ci --prefix server --ignore-scripts --no-audit --no-fund </dev/null
  fi
  [ -e build/Release/latte_embeddings.node ] || npm run --silent build:native </dev/null
  if stale dist/index.js lib package.json; then npm run --silent build:ts </dev/null; fi
  if stale server/dist/command/main.js server/lib dist/index.d.ts; then
    node_modules/.bin/tsc -p server/tsconfig.build.json
    touch server/dist/command/main.js
  fi
} >&2
cd "$caller"
exec node "$root/server/dist/command/main.js" "$@"
