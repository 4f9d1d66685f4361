#!/usr/bin/env bash
# npm run bench [-- options and filters]: installs the benchmark's own dependencies and builds the
# product where that was not done, then measures. --help tells the options.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
if [ ! bench/node_modules/.package-lock.json -nt bench/package-lock.json ]; then
  # Without install scripts: onnxruntime-node's would fetch GPU libraries; the CPU's are inside.
  npm ci --prefix bench --ignore-scripts --no-audit --no-fund </dev/null
fi
[ -e build/Release/latte_embeddings.node ] || npm run build:native </dev/null
[ -e dist/index.js ] || npm run build:ts </dev/null
exec bench/node_modules/.bin/tsx bench/main.ts "$@"
