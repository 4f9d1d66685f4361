#!/usr/bin/env bash
# npm run bench [-- options and filters]: installs the benchmark's dependencies and builds the
# product if that has not been done, then measures. --help lists the options.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
if [ ! bench/node_modules/.package-lock.json -nt bench/package-lock.json ]; then
  # Without install scripts, because onnxruntime-node's would fetch GPU libraries. It contains those
  # for CPUs.
  npm ci --prefix bench --ignore-scripts --no-audit --no-fund </dev/null
fi
[ -e build/Release/latte_embeddings.node ] || npm run build:native </dev/null
[ -e dist/index.js ] || npm run build:ts </dev/null
exec bench/node_modules/.bin/tsx bench/main.ts "$@"
